"use strict";
// A trained network reads what is drawn. Its parameters are in the page, as 16-bit floats.

const SIDE = 28; // pixels of MNIST's images in each direction
const DIGIT_SIDE = 20; // of which the digit takes at most so many
const FINE = 4; // points for each pixel in each direction, which are averaged
const BRUSH = 2.3; // width of a stroke, in pixels
const N_LINES = 150; // the strongest lines that are drawn

const DATA = JSON.parse(query("#data").textContent);
const net = makeNetwork(DATA.sizes, DATA.hidden, DATA.cost);

// ---- Reading the parameters and the examples ----

function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// The number of a 16-bit float: a sign, 5 bits of an exponent, 10 of a fraction.
function halfToNumber(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024);
  return bits & 0x8000 ? -size : size;
}

function readParams(text) {
  const bytes = bytesOf(text);
  return Float64Array.from({ length: bytes.length / 2 }, (_, k) => halfToNumber(bytes[2 * k] | (bytes[2 * k + 1] << 8)));
}

const trained = readParams(DATA.params);
const examples = bytesOf(DATA.examples);

const demo = {
  flat: Float64Array.from(trained), strokes: [], example: null, noise: 0, pixels: new Float64Array(SIDE * SIDE),
  input: new Float64Array(SIDE * SIDE), passed: null, chosen: null, nTaught: 0, rate: 0.03,
};

// ---- From strokes to pixels, as MNIST's digits were made: scaled to 20 × 20, centred by mass ----

const fine = element("canvas", { width: SIDE * FINE, height: SIDE * FINE });

// Draws the strokes, scaled and moved, and returns the means of FINE × FINE points.
function render(scale, [left, top]) {
  const context = fine.getContext("2d", { willReadFrequently: true });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, fine.width, fine.height);
  [context.strokeStyle, context.lineWidth] = ["#fff", BRUSH * FINE];
  context.lineCap = context.lineJoin = "round";
  for (const stroke of demo.strokes) {
    context.beginPath();
    stroke.forEach(([x, y], k) => {
      const at = [(x * scale + left) * FINE, (y * scale + top) * FINE];
      if (k) context.lineTo(...at);
      else context.moveTo(...at);
    });
    if (stroke.length === 1) context.lineTo((stroke[0][0] * scale + left) * FINE + 0.01, (stroke[0][1] * scale + top) * FINE);
    context.stroke();
  }
  const { data } = context.getImageData(0, 0, fine.width, fine.height);
  const pixels = new Float64Array(SIDE * SIDE);
  for (let k = 0; k < fine.width * fine.height; k++) {
    const [row, column] = [Math.floor(k / fine.width / FINE), Math.floor((k % fine.width) / FINE)];
    pixels[row * SIDE + column] += data[4 * k] / 255 / FINE ** 2;
  }
  return pixels;
}

function pixelsOfStrokes() {
  const points = demo.strokes.flat();
  if (!points.length) return new Float64Array(SIDE * SIDE);
  const range = (k) => {
    const numbers = points.map((point) => point[k]);
    return [Math.min(...numbers), Math.max(...numbers)];
  };
  const [[x0, x1], [y0, y1]] = [range(0), range(1)];
  // A dot is not blown up.
  const scale = (DIGIT_SIDE - BRUSH) / Math.max(x1 - x0, y1 - y0, 0.25);
  const corner = [SIDE / 2 - (scale * (x0 + x1)) / 2, SIDE / 2 - (scale * (y0 + y1)) / 2];
  const pixels = render(scale, corner);
  let [mass, x, y] = [0, 0, 0];
  pixels.forEach((ink, k) => {
    mass += ink;
    x += ink * ((k % SIDE) + 0.5);
    y += ink * (Math.floor(k / SIDE) + 0.5);
  });
  return mass ? render(scale, [corner[0] + SIDE / 2 - x / mass, corner[1] + SIDE / 2 - y / mass]) : pixels;
}

// The pixels with noise: the same draw for every amount, cut off at black and white.
function noisy(pixels) {
  const random = randomFrom(1);
  return pixels.map((ink) => Math.min(Math.max(ink + demo.noise * gaussian(random), 0), 1));
}

// ---- Asking and teaching ----

function ask() {
  demo.input = demo.noise ? noisy(demo.pixels) : demo.pixels;
  demo.passed = forward(net, layersOf(net.sizes, demo.flat), demo.input);
  show();
}

function read() {
  demo.pixels = pixelsOfStrokes();
  demo.example = null;
  ask();
}

function takeExample(digit) {
  demo.strokes = [];
  demo.example = digit;
  demo.pixels = Float64Array.from({ length: SIDE * SIDE }, (_, k) => examples[digit * SIDE * SIDE + k] / 255);
  ask();
}

// One step of gradient descent on the picture that the network sees.
function teach(digit) {
  const y = Array.from({ length: net.sizes.at(-1) }, (_, k) => (k === digit ? 1 : 0));
  const before = demo.passed.as.at(-1)[digit];
  const g = gradient(net, demo.flat, [demo.input], [y]);
  OPTIMIZERS.sgd.step(demo.flat, g, { learning_rate: demo.rate });
  demo.nTaught += 1;
  ask();
  query("#taught").textContent = `Step ${demo.nTaught}: its output for ${digit} went from ${numberText(before)} to ${numberText(demo.passed.as.at(-1)[digit])}.`;
}

const isBlank = () => !demo.strokes.length && demo.example === null;

// ---- Showing ----

const pad = query("#pad");

function drawPad() {
  const size = (pad.width = pad.height = Math.round(pad.clientWidth * Math.min(devicePixelRatio, 2)));
  const context = pad.getContext("2d");
  if (demo.example !== null) {
    context.imageSmoothingEnabled = true;
    context.drawImage(picture(demo.pixels, null), 0, 0, size, size);
    return;
  }
  [context.strokeStyle, context.lineWidth] = ["#f4f6f8", size / 14];
  context.lineCap = context.lineJoin = "round";
  for (const stroke of demo.strokes) {
    context.beginPath();
    stroke.forEach(([x, y], k) => (k ? context.lineTo(x * size, y * size) : context.moveTo(x * size, y * size)));
    if (stroke.length === 1) context.lineTo(stroke[0][0] * size + 0.01, stroke[0][1] * size);
    context.stroke();
  }
  if (isBlank()) {
    [context.fillStyle, context.textAlign, context.font] = ["#8d97a1", "center", `${size / 14}px system-ui, sans-serif`];
    context.fillText("0 … 9", size / 2, size / 2);
  }
}

// Pixels as a picture; with weights over them, blue for and orange against.
function picture(pixels, weights) {
  const canvas = element("canvas", { width: SIDE, height: SIDE });
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const largest = weights ? Math.max(...Array.from(weights, Math.abs), 1e-300) : 1;
  pixels.forEach((ink, k) => {
    const grey = 16 + 229 * ink;
    const weight = weights ? weights[k] / largest : 0;
    const tint = weight < 0 ? [242, 140, 70] : [70, 165, 235];
    const share = Math.min(1.3 * Math.abs(weight), 0.9);
    tint.forEach((colour, c) => (image.data[4 * k + c] = grey * (1 - share) + colour * share));
    image.data[4 * k + 3] = 255;
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawSeen() {
  const canvas = query("#seen");
  canvas.width = canvas.height = SIDE;
  const { chosen } = demo;
  const weights = chosen?.l === 0 ? layersOf(net.sizes, demo.flat)[0].w.map((row) => row[chosen.j]) : null;
  canvas.getContext("2d").drawImage(picture(demo.input, weights), 0, 0);
  query("#seen-text").textContent = weights
    ? `The weights of hidden unit ${chosen.j + 1}: ink on blue excites it, on orange inhibits it. z = ${numberText(demo.passed.zs[0][chosen.j])}, a = ${numberText(demo.passed.as[1][chosen.j])}.`
    : "Scaled and centred as MNIST's digits are. Point at a hidden unit to lay its weights over the pixels.";
}

const bars = [];

function buildBars() {
  const rows = Array.from({ length: net.sizes.at(-1) }, (_, k) => {
    const [bar, text, name] = [element("span", { class: "bar" }), element("span"), element("span", {}, String(k))];
    const track = element("span", { class: "track" }, bar);
    bars.push({ bar, text, parts: [name, track, text] });
    return [name, track, text];
  });
  query("#outputs").replaceChildren(...rows.flat());
}

function showOutputs() {
  const outputs = demo.passed.as.at(-1);
  const order = Array.from(outputs.keys()).sort((a, b) => outputs[b] - outputs[a]);
  const blank = isBlank();
  bars.forEach(({ bar, text, parts }, k) => {
    bar.style.width = blank ? "0" : `${100 * Math.min(Math.max(outputs[k], 0), 1)}%`;
    text.textContent = blank ? "" : outputs[k].toFixed(3).replace("-", "−");
    for (const part of parts) part.classList.toggle("best", !blank && k === order[0]);
  });
  query("#answer").textContent = blank ? "–" : order[0];
  const [first, second] = order.map((k) => outputs[k]);
  const sure = first < 0.5 ? "It is not sure of anything." : second > 0.3 ? `It wavers between ${order[0]} and ${order[1]}.` : first > 0.9 ? "It is sure." : "It is fairly sure.";
  query("#sure").textContent = blank ? "" : sure;
  return { order, outputs, sure };
}

const graph = { root: svg("svg", { role: "group", "aria-label": "The layers of the network" }), units: [], lines: svg("g") };

function placeOf(l, j, width, height) {
  const n = net.sizes.length - 1;
  const shown = shownUnits(l);
  return [50 + (l * (width - 100)) / (n - 1), 16 + ((j + 0.5) * (height - 26)) / shown];
}

const shownUnits = (l) => Math.min(net.sizes[l + 1], 40);

function buildGraph() {
  const host = query("#layers");
  const width = Math.max(host.clientWidth, 300);
  const most = Math.max(...net.sizes.slice(1).map((_, l) => shownUnits(l)));
  const height = 26 + most * 21;
  setAttributes(graph.root, { viewBox: `0 0 ${width} ${height}` });
  graph.root.style.height = `${height}px`;
  graph.units = net.sizes.slice(1).map((_, l) => Array.from({ length: shownUnits(l) }, (_, j) => {
    const [cx, cy] = placeOf(l, j, width, height);
    const isOutput = l === net.sizes.length - 2;
    const circle = svg("circle", { cx, cy, r: 9, fill: "var(--surface)" });
    const light = svg("circle", { cx, cy, r: 9, fill: "var(--accent)", stroke: "none" });
    const choose = (chosen) => () => { demo.chosen = chosen; drawSeen(); drawLines(); };
    const node = svg("g", {
      class: "unit", tabindex: 0, role: "img", onpointerenter: choose({ l, j }), onpointerleave: choose(null),
      onfocus: choose({ l, j }), onblur: choose(null), onclick: choose({ l, j }),
    }, circle, light, ...(isOutput ? [svg("text", { x: cx + 18, y: cy + 5, style: "font-size: 15px" }, String(j))] : []));
    return { node, light, at: [cx, cy] };
  }));
  const heads = net.sizes.slice(1).map((n, l) => {
    const hidden = n > shownUnits(l) ? `${shownUnits(l)} of ${n} units` : `${n} units`;
    const text = l === net.sizes.length - 2 ? "answers" : hidden;
    return svg("text", { class: "label", x: graph.units[l][0].at[0], y: 8, "text-anchor": "middle" }, text);
  });
  graph.root.replaceChildren(...heads, graph.lines, ...graph.units.flat().map(({ node }) => node));
  host.replaceChildren(graph.root);
}

// The strongest influences w·a from each layer to the next; of a chosen unit, all that reach it.
function drawLines() {
  const layers = layersOf(net.sizes, demo.flat);
  const influences = [];
  for (let l = 1; l < layers.length; l++) {
    for (let i = 0; i < graph.units[l - 1].length; i++) {
      for (let j = 0; j < graph.units[l].length; j++) {
        influences.push({ l, i, j, size: layers[l].w[i][j] * demo.passed.as[l][i] });
      }
    }
  }
  const { chosen } = demo;
  const isOfChosen = ({ l, i, j }) => (chosen.l === l && chosen.j === j) || (chosen.l === l - 1 && chosen.j === i);
  const shown = chosen ? influences.filter(isOfChosen) : influences.sort((a, b) => Math.abs(b.size) - Math.abs(a.size)).slice(0, N_LINES);
  const largest = Math.max(...shown.map(({ size }) => Math.abs(size)), 1e-300);
  graph.lines.replaceChildren(...(isBlank() ? [] : shown).map(({ l, i, j, size }) => {
    const [[x1, y1], [x2, y2]] = [graph.units[l - 1][i].at, graph.units[l][j].at];
    const share = Math.abs(size) / largest;
    return svg("line", { x1, y1, x2, y2, stroke: `var(--${size < 0 ? "negative" : "positive"})`, "stroke-width": 0.4 + 3.6 * share, "stroke-opacity": 0.15 + 0.8 * share });
  }));
}

function showGraph() {
  graph.units.forEach((units, l) => {
    const activations = demo.passed.as[l + 1];
    const largest = Math.max(1, ...Array.from(activations, Math.abs));
    units.forEach(({ node, light }, j) => {
      light.setAttribute("fill-opacity", isBlank() ? 0 : Math.abs(activations[j]) / largest);
      light.setAttribute("fill", activations[j] < 0 ? "var(--negative)" : "var(--accent)");
      node.setAttribute("aria-label", `${l === net.sizes.length - 2 ? `output ${j}` : `unit ${j + 1} of layer ${l + 1}`}: ${numberText(activations[j])}`);
    });
  });
  drawLines();
}

let waiting = 0;

// Speaks when the drawing has rested, so that screen readers are not flooded.
function describe({ order, outputs, sure }) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    query("#summary").textContent = isBlank() ? "Draw a digit, or choose an example."
      : `The network answers ${order[0]}, with an output of ${numberText(outputs[order[0]], 2)}; next is ${order[1]}, with ${numberText(outputs[order[1]], 2)}. ${sure}`;
  }, 250);
}

function show() {
  query("#noise-text").textContent = numberText(demo.noise, 2);
  query("#undo").disabled = !demo.strokes.length;
  query("#forget").disabled = !demo.nTaught;
  for (const button of document.querySelectorAll("#teach button")) button.disabled = isBlank();
  drawPad();
  drawSeen();
  showGraph();
  describe(showOutputs());
}

// ---- Controls ----

function pointOf(event) {
  const box = pad.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  demo.strokes.push([pointOf(event)]);
  read();
});
pad.addEventListener("pointermove", (event) => {
  if (!event.buttons || !demo.strokes.length || demo.example !== null) return;
  const events = event.getCoalescedEvents?.() ?? [];
  demo.strokes.at(-1).push(...(events.length ? events : [event]).map(pointOf));
  read();
});
query("#clear").addEventListener("click", () => { demo.strokes = []; read(); });
query("#undo").addEventListener("click", () => { demo.strokes.pop(); read(); });
query("#noise").addEventListener("input", ({ target }) => { demo.noise = Number(target.value); ask(); });
query("#rate").addEventListener("change", ({ target }) => {
  if (Number(target.value) >= 0) demo.rate = Number(target.value);
  target.value = demo.rate;
});
query("#forget").addEventListener("click", () => {
  demo.flat = Float64Array.from(trained);
  demo.nTaught = 0;
  query("#taught").textContent = "It is as it was trained.";
  ask();
});
for (let digit = 0; digit < 10; digit++) {
  const button = (label, onclick) => element("button", { type: "button", "aria-label": label, onclick }, String(digit));
  query("#examples").append(button(`example of a ${digit}`, () => takeExample(digit)));
  query("#teach").append(button(`It is a ${digit}`, () => teach(digit)));
}
query("#about").textContent = DATA.about;
buildBars();
buildGraph();
new ResizeObserver(() => { buildGraph(); drawPad(); showGraph(); }).observe(query("#layers"));
takeExample(3);
