"use strict";
// Optimizers on a surface of two coordinates. All steps are computed whenever a number changes; the
// time says how many of them are shown.

const N_STEPS = 400;
const N_BANDS = 18;
const DASHES = [null, "8 4", "2 4", "12 3 2 3", "5 3", "1 3 6 3", "14 4"];
const NAMES = Object.keys(OPTIMIZERS);
const SLICE = JSON.parse(query("#data").textContent);
const sliceNet = makeNetwork(SLICE.sizes, SLICE.hidden, SLICE.cost);

const demo = {
  surface: "quadratic", condition: 10 ** 1.4, angle: 30, start: [-2.4, 1.2], time: 0,
  racers: [], N_STEPS,
};

// ---- Surfaces: the value f, the gradient g, the window [left, right, bottom, top], the start ----

// ½(p² + κq²), with p and q the coordinates turned by the angle.
function turned([x, y]) {
  const angle = (demo.angle * Math.PI) / 180;
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return { c, s, p: c * x + s * y, q: c * y - s * x };
}

// The network's parameters at a point of the plane: origin + x·across + y·up.
function paramsAt([x, y]) {
  return Float64Array.from(SLICE.origin, (w, i) => w + x * SLICE.across[i] + y * SLICE.up[i]);
}

const dot = (a, b) => a.reduce((total, number, i) => total + number * b[i], 0);

const SURFACES = {
  quadratic: {
    f(at) {
      const { p, q } = turned(at);
      return 0.5 * (p * p + demo.condition * q * q);
    },
    g(at) {
      const { c, s, p, q } = turned(at);
      return [c * p - s * demo.condition * q, s * p + c * demo.condition * q];
    },
    window: [-3, 3, -2.5, 2.5], start: [-2.4, 1.2], minima: [[0, 0]],
    rates: { sgd: 0.05, momentum: 0.006, nesterov: 0.02, adagrad: 0.7, rmsprop: 0.05, adam: 0.15, nadam: 0.15 },
    about: "½(p² + κq²): κ times as steep across the valley as along it. The lowest point is (0, 0).",
  },
  rosenbrock: {
    f: ([x, y]) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    g: ([x, y]) => [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
    window: [-2, 2, -1, 2.333], start: [-1.3, 1.2], minima: [[1, 1]],
    rates: { sgd: 0.001, momentum: 0.0005, nesterov: 0.0005, adagrad: 0.3, rmsprop: 0.01, adam: 0.1, nadam: 0.1 },
    about: "(1 − x)² + 100(y − x²)²: a bent valley, easy to reach and hard to follow. The lowest point is (1, 1).",
  },
  network: {
    f: (at) => meanCost(sliceNet, paramsAt(at), SLICE.xs, SLICE.ys),
    // The gradient in the plane: that of all weights, along the two directions.
    g(at) {
      const slope = gradient(sliceNet, paramsAt(at), SLICE.xs, SLICE.ys);
      return [dot(slope, SLICE.across), dot(slope, SLICE.up)];
    },
    window: SLICE.window, start: SLICE.start, minima: SLICE.minima,
    rates: { sgd: 0.02, momentum: 0.004, nesterov: 0.004, adagrad: 0.1, rmsprop: 0.01, adam: 0.03, nadam: 0.03 },
    about: `The loss of a ${SLICE.sizes.join("-")} network that learns XOR, on a plane through its weights: `
      + "two trainings ended at the crosses, (0, 0) and (1, 0). Only the plane's two coordinates move here.",
  },
};

// The points and losses of an optimizer from the start; it ends early where numbers overflow.
function race(name, rate) {
  const surface = SURFACES[demo.surface];
  const at = Float64Array.from(demo.start);
  const [state, hyper] = [{}, { ...OPTIMIZERS[name].hyper, learning_rate: rate }];
  const path = [{ at: [...at], loss: surface.f(at) }];
  for (let step = 0; step < N_STEPS; step++) {
    OPTIMIZERS[name].step(at, surface.g(at), hyper, state);
    const loss = surface.f(at);
    if (!Number.isFinite(loss) || loss > 1e12) break;
    path.push({ at: [...at], loss });
  }
  return path;
}

function raceAll() {
  for (const racer of demo.racers) racer.path = race(racer.name, racer.rate);
  show();
}

const isOut = ({ path }) => demo.time >= path.length;
const nowOf = ({ path }) => path[Math.min(demo.time, path.length - 1)];
const shownRacers = () => demo.racers.filter(({ isOn }) => isOn);

// The racers that are shown, from the lowest loss to the highest; those that left come last.
function ranking() {
  return shownRacers().sort((a, b) => isOut(a) - isOut(b) || nowOf(a).loss - nowOf(b).loss);
}

// ---- The map ----

const canvas = query("#map");
let background = null;

function colourNumbers(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));
}

// The surface in bands of equal ratio, as a picture of n × m points.
function paint(n, m) {
  const [left, right, bottom, top] = SURFACES[demo.surface].window;
  const { f } = SURFACES[demo.surface];
  const heights = new Float64Array(n * m);
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      const [x, y] = [left + ((column + 0.5) / n) * (right - left), top - ((row + 0.5) / m) * (top - bottom)];
      heights[row * n + column] = f([x, y]);
    }
  }
  let [low, high] = [Infinity, -Infinity];
  for (const height of heights) { low = Math.min(low, height); high = Math.max(high, height); }
  const floor = demo.surface === "network" ? 0.02 : (high - low) * 3e-4;
  const band = (height) => Math.floor((N_BANDS * Math.log((height - low) / floor + 1)) / Math.log((high - low) / floor + 1.001));
  const [valley, peak, contour] = ["valley", "peak", "contour"].map(colourNumbers);
  const pixels = new ImageData(n, m);
  heights.forEach((height, k) => {
    const level = band(height);
    const isEdge = (k % n && band(heights[k - 1]) !== level) || (k >= n && band(heights[k - n]) !== level);
    const share = level / N_BANDS;
    for (let channel = 0; channel < 3; channel++) {
      const plain = valley[channel] + share * (peak[channel] - valley[channel]);
      pixels.data[4 * k + channel] = isEdge ? 0.45 * plain + 0.55 * contour[channel] : plain;
    }
    pixels.data[4 * k + 3] = 255;
  });
  const picture = element("canvas", { width: n, height: m });
  picture.getContext("2d").putImageData(pixels, 0, 0);
  return picture;
}

function resize() {
  const ratio = Math.min(devicePixelRatio, 2);
  const width = canvas.parentElement.clientWidth;
  if (!width) return;
  canvas.style.height = `${Math.round((width * 5) / 6)}px`;
  [canvas.width, canvas.height] = [width * ratio, Math.round((width * 5) / 6) * ratio].map(Math.round);
  repaint();
}

function repaint() {
  const share = demo.surface === "network" ? 0.35 : 0.7;
  background = paint(Math.round(canvas.width * share), Math.round(canvas.height * share));
  drawMap();
}

function toPixels([x, y]) {
  const [left, right, bottom, top] = SURFACES[demo.surface].window;
  return [((x - left) / (right - left)) * canvas.width, ((top - y) / (top - bottom)) * canvas.height];
}

function drawMap() {
  if (!background) return;
  const context = canvas.getContext("2d");
  const scale = canvas.width / canvas.clientWidth;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`);
  context.imageSmoothingEnabled = true;
  context.drawImage(background, 0, 0, canvas.width, canvas.height);
  context.lineJoin = context.lineCap = "round";
  for (const at of SURFACES[demo.surface].minima) cross(context, toPixels(at), 7 * scale, colour("ink"));
  for (const racer of shownRacers()) {
    const points = racer.path.slice(0, demo.time + 1).map(({ at }) => toPixels(at));
    const trace = () => {
      context.beginPath();
      points.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.stroke();
    };
    [context.strokeStyle, context.lineWidth] = [colour("page"), 4.5 * scale];
    context.setLineDash([]);
    trace();
    [context.strokeStyle, context.lineWidth] = [colour(racer.colour), 2.5 * scale];
    context.setLineDash((racer.dash ?? "").split(" ").filter(Boolean).map((n) => n * scale));
    trace();
  }
  context.setLineDash([]);
  for (const racer of shownRacers()) disc(context, toPixels(nowOf(racer).at), 6 * scale, colour(racer.colour), colour("page"));
  disc(context, toPixels(demo.start), 8 * scale, colour("page"), colour("ink"));
  const places = ranking().map((racer) => `${racer.name} ${isOut(racer) ? "out" : numberText(nowOf(racer).loss)}`);
  canvas.setAttribute("aria-label", `Map of the surface with the paths after ${demo.time} steps. Losses: ${places.join(", ")}.`);
}

function cross(context, [x, y], size, colour) {
  [context.strokeStyle, context.lineWidth] = [colour, size / 3];
  context.beginPath();
  for (const [dx, dy] of [[1, 1], [1, -1]]) {
    context.moveTo(x - dx * size, y - dy * size);
    context.lineTo(x + dx * size, y + dy * size);
  }
  context.stroke();
}

function disc(context, [x, y], radius, fill, edge) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [fill, edge, radius / 3];
  context.fill();
  context.stroke();
}

// ---- The table, the chart and the sentences ----

function buildTable() {
  const suggested = SURFACES[demo.surface].rates;
  demo.racers = NAMES.map((name, k) => {
    const racer = { name, rate: suggested[name], isOn: name !== "nadam", colour: `series-${k}`, dash: DASHES[k] };
    const box = element("input", {
      type: "checkbox", id: `on-${name}`, ...(racer.isOn && { checked: "" }),
      onchange: () => { racer.isOn = box.checked; show(); },
    });
    racer.field = element("input", {
      type: "number", min: "0", step: "any", id: `rate-${name}`, value: racer.rate, "aria-label": `learning rate of ${name}`,
      onchange: () => { setRate(racer, Number(racer.field.value)); raceAll(); },
    });
    const swatch = svg("svg", { class: "swatch", viewBox: "0 0 24 10" },
      svg("line", { x1: 1, x2: 23, y1: 5, y2: 5, stroke: `var(--${racer.colour})`, "stroke-width": 3.5, "stroke-dasharray": racer.dash }));
    [racer.lossCell, racer.placeCell] = [element("td"), element("td")];
    racer.row = element("tr", {}, element("td", {}, element("label", {}, box, swatch, name)),
      element("td", {}, racer.field), racer.lossCell, racer.placeCell);
    return racer;
  });
  query("#racers tbody").replaceChildren(...demo.racers.map(({ row }) => row));
}

function setRate(racer, rate) {
  if (rate >= 0 && Number.isFinite(rate)) racer.rate = rate;
  racer.field.value = racer.rate;
}

function showTable() {
  const order = ranking();
  for (const racer of demo.racers) {
    racer.row.classList.toggle("off", !racer.isOn);
    racer.lossCell.textContent = isOut(racer) ? "∞" : numberText(nowOf(racer).loss, 4);
    const place = order.indexOf(racer) + 1;
    racer.placeCell.textContent = !racer.isOn || demo.time === 0 ? "" : isOut(racer) ? "out" : `${place}.`;
  }
}

function showChart() {
  const racers = shownRacers();
  const losses = racers.flatMap(({ path }) => path.map(({ loss }) => loss)).filter((loss) => loss > 0);
  const low = 10 ** Math.max(Math.floor(Math.log10(Math.min(...losses, 1))), -8);
  const high = 10 ** Math.min(Math.ceil(Math.log10(Math.max(...losses, low * 10))), 4);
  const points = ({ path }) => path.map(({ loss }, step) => [step, Math.max(loss, 1e-300)]);
  lossChart.draw({
    label: `Loss by step, of ${racers.map(({ name }) => name).join(", ")}.`,
    x: [0, N_STEPS], y: [low, Math.max(high, low * 10)], log: true, xLabel: "step", yLabel: "",
    lines: racers.flatMap((racer) => {
      const style = { colour: racer.colour, dash: racer.dash };
      return [{ points: points(racer), style, faint: true }, { points: points(racer).slice(0, demo.time + 1), style }];
    }),
    verticals: [{ x: demo.time, style: { colour: "muted", dash: "3 3" } }],
  });
}

function describe() {
  const order = ranking();
  const text = query("#summary");
  if (!order.length) text.textContent = "Nobody races: choose an optimizer in the table.";
  else if (demo.time === 0) text.textContent = `At the start the loss is ${numberText(nowOf(order[0]).loss)}. Press Run.`;
  else {
    const outs = order.filter(isOut).map(({ name, path }) => `${name} left the map's numbers after ${path.length - 1} steps`);
    const [first, last] = [order[0], order.filter((racer) => !isOut(racer)).at(-1)];
    const lead = last ? [`After ${demo.time} steps ${first.name} is lowest, at ${numberText(nowOf(first).loss, 4)}`] : [];
    if (last && last !== first) lead.push(`${last.name} highest, at ${numberText(nowOf(last).loss, 4)}`);
    text.textContent = `${[...lead, ...outs].join("; ")}.`;
  }
}

function show() {
  query("#time").max = N_STEPS;
  query("#time").value = demo.time;
  query("#time-text").textContent = `${demo.time} of ${N_STEPS}`;
  query("#step").disabled = demo.time === N_STEPS;
  query("#condition-text").textContent = numberText(demo.condition, demo.condition < 10 ? 1 : 0);
  query("#angle-text").textContent = demo.angle;
  query("#about").textContent = SURFACES[demo.surface].about;
  for (const field of document.querySelectorAll("[data-for]")) field.hidden = field.dataset.for !== demo.surface;
  demo.start.forEach((value, k) => {
    const field = query(`#start-${k}`);
    if (document.activeElement !== field) field.value = Number(value.toFixed(3));
  });
  drawMap();
  showTable();
  showChart();
  if (!runner.running) describe();
}

function goTo(time) {
  demo.time = Math.min(Math.max(Math.round(time), 0), N_STEPS);
  show();
}

function chooseSurface(name) {
  runner.stop();
  Object.assign(demo, { surface: name, start: [...SURFACES[name].start], time: 0 });
  for (const racer of demo.racers) setRate(racer, SURFACES[name].rates[racer.name]);
  repaint();
  raceAll();
}

function startAt(point) {
  runner.stop();
  demo.start = point;
  raceAll();
}

function frame() {
  goTo(reducedMotion() ? N_STEPS : demo.time + 1);
  return demo.time < N_STEPS;
}

function dragStart(event) {
  const box = canvas.getBoundingClientRect();
  const [left, right, bottom, top] = SURFACES[demo.surface].window;
  const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((s) => Math.min(Math.max(s, 0), 1));
  startAt([left + share[0] * (right - left), top - share[1] * (top - bottom)]);
}

canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); dragStart(event); });
canvas.addEventListener("pointermove", (event) => { if (event.buttons) dragStart(event); });
const lossChart = new Chart(query("#losses"), { height: 250, onDrag: (time) => { runner.stop(); goTo(time); } });
const runner = new Runner(query("#run"), frame, describe);
query("#run").addEventListener("click", () => { if (runner.running && demo.time === N_STEPS) goTo(0); });
query("#step").addEventListener("click", () => { runner.stop(); goTo(demo.time + 1); });
query("#back").addEventListener("click", () => { runner.stop(); goTo(0); });
query("#time").addEventListener("input", ({ target }) => { runner.stop(); goTo(Number(target.value)); });
query("#surface").addEventListener("change", ({ target }) => chooseSurface(target.value));
query("#condition").addEventListener("input", ({ target }) => {
  demo.condition = 10 ** Number(target.value);
  repaint();
  raceAll();
});
query("#angle").addEventListener("input", ({ target }) => {
  demo.angle = Number(target.value);
  repaint();
  raceAll();
});
for (const k of [0, 1]) {
  query(`#start-${k}`).addEventListener("input", ({ target }) => {
    if (target.value === "" || !Number.isFinite(Number(target.value))) return;
    startAt(demo.start.map((value, axis) => (axis === k ? Number(target.value) : value)));
  });
}
query("#suggested").addEventListener("click", () => {
  for (const racer of demo.racers) setRate(racer, SURFACES[demo.surface].rates[racer.name]);
  raceAll();
});
query("#same").addEventListener("click", () => {
  for (const racer of demo.racers) setRate(racer, 0.01);
  raceAll();
});
buildTable();
raceAll();
new ResizeObserver(resize).observe(canvas.parentElement);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
