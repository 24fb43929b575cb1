"use strict";
// A network learns to tell two classes of points in the plane apart. A run is a function of the
// settings, the points and the initial weights; whatever changes one of them starts it anew.

const WINDOW = 1.5; // both coordinates of the map go from −1.5 to 1.5
const GRID = 64; // points of the map in each direction
const N_POINTS = 300;
const TRAINED = 2 / 3; // of the points; the others validate
const RATES = { sgd: 0.5, momentum: 0.1, rmsprop: 0.01, adam: 0.02 };
const SOURCES = { sgd: "jn.sgd", momentum: "jn.momentum", rmsprop: "jn.rmsprop", adam: "jn.adam" };
const MOST = { layers: 4, units: 8, epochs: 20000, rate: 1e3, l2: 1e6, batch: 1e6, coordinate: 1e100 };
const N_DRAWN = 400; // points of a curve that are drawn
const SPLIT_STYLES = { training: { colour: "series-0" }, validation: { colour: "series-1", dash: "6 4" } };
const LAYER_STYLES = [null, "7 4", "2 4", "10 3 2 3", "4 2"].map((dash, l) => ({ colour: `series-${l}`, dash }));

const demo = {
  sizes: [2, 8, 8, 1], hidden: "tanh", cost: "cross-entropy", optimizer: "adam", rate: RATES.adam,
  l2: 0, batch: 10, data: "spirals", noise: 0.04, dataSeed: 1, seed: 3, newClass: 0, unit: null,
  xs: [], ys: [], nTrain: 0, start: null, flat: null, state: {}, position: 0, history: [],
};

// ---- Points ----

const GENERATORS = {
  spirals(label, random) {
    const radius = Math.sqrt(random());
    const angle = 2 * Math.PI * (radius + label / 2);
    return [1.2 * radius * Math.cos(angle), 1.2 * radius * Math.sin(angle)];
  },
  moons(label, random) {
    const [angle, side] = [Math.PI * random(), label ? 1 : -1];
    return [side * 0.75 * (0.5 - Math.cos(angle)), side * 0.75 * (0.3 - Math.sin(angle))];
  },
  xor(label, random) {
    const [x, y] = [0.08 + random(), 0.08 + random()];
    const sign = random() < 0.5 ? 1 : -1;
    return [sign * x, (label ? -sign : sign) * y];
  },
  circles(label, random) {
    const [radius, angle] = [label ? 0.55 * Math.sqrt(random()) : 0.8 + 0.35 * random(), 2 * Math.PI * random()];
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  },
};

function generate() {
  const random = randomFrom(demo.dataSeed);
  demo.xs = [];
  demo.ys = [];
  for (let k = 0; k < N_POINTS; k++) {
    const label = random() < 0.5 ? 0 : 1;
    const point = GENERATORS[demo.data](label, random);
    demo.xs.push(point.map((x) => x + demo.noise * gaussian(random)));
    demo.ys.push([label]);
  }
  demo.nTrain = Math.round(TRAINED * N_POINTS);
}

// Own points: all of them are trained on.
function usePoints(xs, ys) {
  Object.assign(demo, { data: "own", xs, ys, nTrain: xs.length });
  query("#data-name").value = "own";
  restart();
}

const isDecimal = (cell) => /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell);
// A cell of a heading is a name, and nothing that was meant to be a number, such as "1.2x" or "NaN".
const isName = (cell) => cell !== "" && Number.isNaN(parseFloat(cell)) && !/^[+-]?nan$/i.test(cell);

// The points of a text with lines "x, y, class", moved and scaled into the map.
function readPoints(text) {
  const rows = text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => line.split(/\s*[,;\t]\s*/));
  if (rows.length && rows[0].every(isName)) rows.shift(); // a heading
  if (rows.length < 2) throw new Error("There must be two points at least.");
  rows.forEach((row, k) => {
    const isRight = row.length === 3 && row.slice(0, 2).every(isDecimal) && row[2] !== "";
    if (!isRight) throw new Error(`Point ${k + 1} must be two numbers and a class, not “${row.join(", ")}”.`);
    const large = row.slice(0, 2).find((cell) => Math.abs(cell) > MOST.coordinate);
    if (large) throw new Error(`Point ${k + 1} must have numbers of at most ${numberText(MOST.coordinate)} in size, not ${large}.`);
  });
  const classes = [...new Set(rows.map((row) => row[2]))].sort();
  if (classes.length !== 2) throw new Error(`There must be two classes, not ${classes.length}.`);
  const columns = [0, 1].map((k) => rows.map((row) => Number(row[k])));
  const ranges = columns.map((column) => [Math.min(...column), Math.max(...column)]);
  const half = Math.max(...ranges.map(([low, high]) => (high - low) / 2)) || 1;
  const xs = rows.map((_, k) => columns.map((column, c) => (1.25 * (column[k] - (ranges[c][0] + ranges[c][1]) / 2)) / half));
  return [xs, rows.map((row) => [classes.indexOf(row[2])])];
}

// ---- Training ----

const network = () => makeNetwork(demo.sizes, demo.hidden, demo.cost);
const trained = () => [demo.xs.slice(0, demo.nTrain), demo.ys.slice(0, demo.nTrain)];

// From the same initial weights; `drawWeights` draws others.
function restart() {
  demo.flat = Float64Array.from(demo.start);
  Object.assign(demo, { state: {}, position: 0, history: [] });
  record(null);
  show(true);
}

function drawWeights() {
  demo.start = drawParams(demo.sizes, randomFrom(demo.seed));
  demo.unit = null;
}

// One mini-batch from the position in the epoch on; returns the gradient without the penalty.
function trainStep(net) {
  const end = Math.min(demo.position + demo.batch, demo.nTrain);
  const [xs, ys] = [demo.xs.slice(demo.position, end), demo.ys.slice(demo.position, end)];
  const g = gradient(net, demo.flat, xs, ys);
  const total = Float64Array.from(g);
  const [penalized, layers] = [layersOf(demo.sizes, total), layersOf(demo.sizes, demo.flat)];
  // The derivative of (λ/2n)Σw², n the number of training examples; biases are not penalized.
  penalized.forEach(({ w }, l) => w.forEach((row, i) => row.forEach((_, j) => {
    row[j] += (demo.l2 / demo.nTrain) * layers[l].w[i][j];
  })));
  const hyper = { ...OPTIMIZERS[demo.optimizer].hyper, learning_rate: demo.rate };
  OPTIMIZERS[demo.optimizer].step(demo.flat, total, hyper, demo.state);
  demo.position = end;
  return g;
}

// Mini-batches for a share of an epoch; at the epoch's end the costs are recorded.
function trainFor(share) {
  if (!demo.nTrain) return;
  const net = network();
  const nSteps = Math.max(1, Math.ceil((share * demo.nTrain) / demo.batch));
  for (let k = 0; k < nSteps; k++) {
    const g = trainStep(net);
    if (demo.position === demo.nTrain) {
      demo.position = 0;
      record(g);
      return;
    }
  }
}

// The costs, the shares of right answers, and ‖δ‖ of each layer: of the mean error of the epoch's
// last mini-batch, which is ‖∂C/∂b‖, as jaxnet's monitor `delta_norm`.
function record(g) {
  const net = network();
  const scores = (xs, ys) => {
    if (!xs.length) return { cost: NaN, accuracy: NaN };
    const layers = layersOf(demo.sizes, demo.flat);
    let [cost, right] = [0, 0];
    xs.forEach((x, k) => {
      const z = forward(net, layers, x).zs.at(-1);
      cost += COSTS[demo.cost].fn(z, ys[k]) / xs.length;
      right += (z[0] > 0) === (ys[k][0] === 1) ? 1 / xs.length : 0;
    });
    return { cost, accuracy: right };
  };
  const norms = g ? layersOf(demo.sizes, g).map(({ b }) => Math.hypot(...b)) : null;
  demo.history.push({
    training: scores(...trained()),
    validation: scores(demo.xs.slice(demo.nTrain), demo.ys.slice(demo.nTrain)),
    norms,
  });
}

const epochNow = () => demo.history.length - 1;

// ---- The maps ----

const grid = { activations: [], palette: [] };
const maps = { large: query("#map"), edges: query("#edges"), tiles: [] };

function gridPoints() {
  const points = new Float64Array(2 * GRID * GRID);
  for (let k = 0; k < GRID * GRID; k++) {
    points[2 * k] = WINDOW * ((2 * ((k % GRID) + 0.5)) / GRID - 1);
    points[2 * k + 1] = WINDOW * (1 - (2 * (Math.floor(k / GRID) + 0.5)) / GRID);
  }
  return points;
}
const POINTS = gridPoints();

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const numbers = (name) => {
    const text = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16));
  };
  const [low, middle, high] = ["map-0", "map-middle", "map-1"].map(numbers);
  const bytes = new Uint8ClampedArray(4 * 256).fill(255);
  for (let k = 0; k < 256; k++) {
    const share = Math.abs(k - 127.5) / 127.5;
    middle.forEach((m, c) => (bytes[4 * k + c] = m + share * ((k < 128 ? low : high)[c] - m)));
  }
  grid.palette = new Uint32Array(bytes.buffer); // a colour is one number: it is copied at once
}

// The line by which an activation becomes a share from 0 to 1, ½ where it says nothing; above and
// below it is cut off.
function shareOf(l) {
  if (l === 0) return { slope: 1 / (2 * WINDOW), offset: 0.5 };
  const name = l === demo.sizes.length - 1 ? "sigmoid" : demo.hidden;
  if (name === "sigmoid") return { slope: 1, offset: 0 };
  return { slope: name === "tanh" ? 0.5 : 0.25, offset: 0.5 };
}

// Paints the activation of unit j of layer l (0 for the inputs), every `stride`-th point.
function paint(canvas, l, j, stride) {
  const n = GRID / stride;
  if (canvas.width !== n) canvas.width = canvas.height = n;
  const context = canvas.getContext("2d");
  const image = (canvas.image ??= context.createImageData(n, n));
  const pixels = (canvas.pixels ??= new Uint32Array(image.data.buffer));
  const [activations, nUnits, { slope, offset }] = [grid.activations[l], demo.sizes[l], shareOf(l)];
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      const a = activations[(row * stride * GRID + column * stride) * nUnits + j];
      const level = 256 * (offset + slope * a);
      pixels[row * n + column] = grid.palette[level > 0 ? Math.min(255, level | 0) : 0];
    }
  }
  context.putImageData(image, 0, 0);
}

const hiddenCanvas = element("canvas");

function drawMap() {
  const { l, j } = demo.unit ?? { l: demo.sizes.length - 1, j: 0 };
  paint(hiddenCanvas, l, j, 1);
  const canvas = maps.large;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = true;
  context.drawImage(hiddenCanvas, 0, 0, canvas.width, canvas.height);
  const [scale, size] = [canvas.width / (2 * WINDOW), canvas.width / 100];
  context.lineWidth = Math.max(size / 3, 1);
  demo.xs.forEach(([x, y], k) => {
    const [px, py] = [(x + WINDOW) * scale, (WINDOW - y) * scale];
    const isTrained = k < demo.nTrain;
    const colour = colours[demo.ys[k][0] ? "positive" : "negative"];
    context.beginPath();
    if (demo.ys[k][0]) context.rect(px - size, py - size, 2 * size, 2 * size);
    else context.arc(px, py, size * 1.1, 0, 2 * Math.PI);
    context.fillStyle = isTrained ? colour : colours.page;
    context.strokeStyle = isTrained ? colours.page : colour;
    context.fill();
    context.stroke();
  });
}

let colours = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["positive", "negative", "page", "ink"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
  readColours();
}

function drawEdges() {
  const canvas = maps.edges;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const layers = layersOf(demo.sizes, demo.flat);
  layers.forEach(({ w }, l) => w.forEach((row, i) => row.forEach((weight, j) => {
    const [from, to] = [maps.tiles[l][i].middle, maps.tiles[l + 1][j].middle];
    context.strokeStyle = colours[weight < 0 ? "negative" : "positive"];
    context.globalAlpha = Math.min(0.15 + 0.4 * Math.abs(weight), 0.9);
    context.lineWidth = maps.ratio * Math.min(0.4 + 1.6 * Math.abs(weight), 6);
    context.beginPath();
    context.moveTo(...from);
    context.bezierCurveTo((from[0] + to[0]) / 2, from[1], (from[0] + to[0]) / 2, to[1], ...to);
    context.stroke();
  })));
  context.globalAlpha = 1;
}

// Builds a tile for each unit. They are buttons, so that keys and fingers reach them.
function buildNet() {
  const names = demo.sizes.map((_, l) => (l === 0 ? "inputs" : l === demo.sizes.length - 1 ? "answer" : `layer ${l}`));
  maps.tiles = demo.sizes.map((n, l) => Array.from({ length: n }, (_, j) => {
    const canvas = element("canvas");
    const choose = (unit) => () => { demo.unit = unit; showMaps(); };
    const isLast = l === demo.sizes.length - 1;
    const button = element("button", {
      type: "button", class: isLast ? "tile large" : "tile",
      "aria-label": l ? `${isLast ? "the answer" : `unit ${j + 1} of layer ${l}`}: show its map` : `input ${j + 1}: show its map`,
      onpointerenter: choose({ l, j }), onpointerleave: choose(null), onfocus: choose({ l, j }), onblur: choose(null),
      onclick: choose({ l, j }),
    }, canvas);
    return { canvas, button, middle: [0, 0] };
  }));
  const columns = maps.tiles.map((tiles, l) => element("div", { class: "column" }, element("span", { class: "head" }, names[l]), ...tiles.map(({ button }) => button)));
  query("#net").replaceChildren(maps.edges, ...columns);
  grid.activations = demo.sizes.map((n, l) => (l === 0 ? POINTS : new Float64Array(n * GRID * GRID)));
  measure();
}

// Where the tiles are, for the lines between them, and how many pixels the canvases have.
function measure() {
  const box = query("#net").getBoundingClientRect();
  maps.ratio = Math.min(devicePixelRatio, 2);
  maps.edges.width = box.width * maps.ratio;
  maps.edges.height = box.height * maps.ratio;
  for (const { button, ...tile } of maps.tiles.flat()) {
    const at = button.getBoundingClientRect();
    tile.middle[0] = (at.left + at.width / 2 - box.left) * maps.ratio;
    tile.middle[1] = (at.top + at.height / 2 - box.top) * maps.ratio;
  }
  maps.large.width = maps.large.height = Math.round(maps.large.clientWidth * maps.ratio);
}

function showMaps() {
  forwardMany(network(), layersOf(demo.sizes, demo.flat), grid.activations, GRID * GRID);
  maps.tiles.forEach((tiles, l) => tiles.forEach(({ canvas }, j) => paint(canvas, l, j, 2)));
  drawMap();
  drawEdges();
  const { unit } = demo;
  query("#map-title").textContent = !unit || unit.l === demo.sizes.length - 1 ? "The answer" : unit.l ? `Unit ${unit.j + 1} of layer ${unit.l}` : `Input ${unit.j + 1}`;
}

// ---- Curves, counts and sentences ----

// At most N_DRAWN of the epochs, the last among them.
function drawnEpochs() {
  const stride = Math.ceil(demo.history.length / N_DRAWN);
  const epochs = [];
  for (let epoch = 0; epoch < demo.history.length; epoch += stride) epochs.push(epoch);
  if (epochs.at(-1) !== epochNow()) epochs.push(epochNow());
  return epochs;
}

function showCurves() {
  const epochs = drawnEpochs();
  const x = [0, Math.max(10, epochNow())];
  const curve = (value) => epochs.map((epoch) => [epoch, value(demo.history[epoch])]).filter(([, y]) => Number.isFinite(y));
  const [training, validation] = ["training", "validation"].map((name) => curve((row) => row[name].cost));
  const highest = Math.max(0.1, ...training.map(([, y]) => y), ...validation.map(([, y]) => y));
  costChart.draw({
    label: `Cost by epoch: training ${numberText(demo.history.at(-1).training.cost)}, validation ${numberText(demo.history.at(-1).validation.cost)} at epoch ${epochNow()}.`,
    x, y: [0, highest], xLabel: "epoch", yLabel: "",
    lines: [{ points: training, style: SPLIT_STYLES.training }, { points: validation, style: SPLIT_STYLES.validation }],
  });
  const norms = demo.sizes.slice(1).map((_, l) => curve((row) => (row.norms?.[l] > 0 ? row.norms[l] : NaN)));
  const values = norms.flat().map(([, y]) => y);
  const low = 10 ** Math.floor(Math.log10(Math.max(Math.min(...values, 0.1), 1e-12)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values, low * 10)));
  const last = demo.history.at(-1).norms ?? [];
  normChart.draw({
    label: `Size of the error by layer: ${last.map((norm, l) => `layer ${l + 1} ${numberText(norm)}`).join(", ")}.`,
    x, y: [low, high], log: true, xLabel: "epoch", yLabel: "",
    lines: norms.map((points, l) => ({ points, style: LAYER_STYLES[l] })),
  });
}

function showCounts() {
  const { training, validation } = demo.history.at(-1);
  const percent = (share) => `${numberText(100 * share, 0)}%`;
  query("#epoch-text").textContent = epochNow();
  query("#cost-text").textContent = demo.nTrain ? numberText(training.cost) : "·";
  const both = demo.xs.length > demo.nTrain ? ` / ${percent(validation.accuracy)}` : "";
  query("#accuracy-text").textContent = demo.nTrain ? percent(training.accuracy) + both : "·";
}

function describe() {
  const { training, validation } = demo.history.at(-1);
  const percent = (share) => `${numberText(100 * share, 0)}%`;
  const onOthers = demo.xs.length > demo.nTrain ? `, and of ${demo.xs.length - demo.nTrain} points that it has not seen, ${percent(validation.accuracy)}` : "";
  const text = demo.nTrain
    ? `After ${epochNow()} epochs the network is right about ${percent(training.accuracy)} of its ${demo.nTrain} training points${onOthers}. The cost is ${numberText(training.cost)}.`
    : "There are no points: click on the map, or paste some.";
  query("#summary").textContent = text;
  maps.large.setAttribute("aria-label", `Map of the plane, with ${demo.xs.length} points. ${text}`);
  showScript();
}

// The script; before there are points and epochs, what it lacks.
function showScript() {
  const lack = !demo.nTrain ? "There are no points, and so there is nothing to export."
    : !epochNow() ? "There is nothing to export yet: train for an epoch." : "";
  for (const id of ["copy", "save"]) query(`#${id}`).disabled = lack !== "";
  query("#copied").textContent = lack;
  query("#script").value = lack ? "" : script();
}

let nFrames = 0;

// Shows everything; while it runs, curves and counts only every few frames.
function show(all) {
  showMaps();
  if (all || nFrames++ % 4 === 0) {
    showCurves();
    showCounts();
  }
  if (!runner.running) describe();
  else if (query("#copy").disabled) showScript(); // there may be an epoch to export by now
}

function showSettings() {
  query("#noise-text").textContent = numberText(demo.noise, 2);
  query("#noise").disabled = demo.data === "own";
  query("#rate").value = demo.rate;
  query("#l2").value = demo.l2;
  query("#batch").value = demo.batch;
  const n = demo.xs.length - demo.nTrain;
  query("#split").textContent = n ? `${demo.nTrain} filled points train, ${n} hollow ones validate.` : `All ${demo.nTrain} points train.`;
  query("#norm-names").replaceChildren(...demo.sizes.slice(1).map((_, l) => legendEntry(l === demo.sizes.length - 2 ? "answer" : `layer ${l + 1}`, LAYER_STYLES[l])));
  query("#cost-names").replaceChildren(...Object.entries(SPLIT_STYLES).map(([name, style]) => legendEntry(name, style)));
}

// ---- The script ----

function script() {
  // Four numbers a line.
  const numbers = (values) => `[\n    ${Array.from(values).map((x, k) => x + ((k + 1) % 4 ? ", " : ",\n    ")).join("").trim()}\n]`;
  const cost = demo.cost === "quadratic" ? "Quadratic" : "CrossEntropy";
  const hasValid = demo.xs.length > demo.nTrain;
  return `"""A run of jaxnet's playground: ${demo.data}, ${demo.sizes.join("-")}, ${demo.optimizer}."""

import jaxnet as jn
import numpy as np

sizes, n_train = (${demo.sizes.join(", ")}), ${demo.nTrain}
x = np.array(${numbers(demo.xs.flat())}).reshape(-1, 2)
y = np.array(${numbers(demo.ys.flat())}, float).reshape(-1, 1)
start = np.array(${numbers(demo.start)})

params = []
for n_in, n_out in zip(sizes, sizes[1:]):
    w, b, start = np.split(start, [n_in * n_out, (n_in + 1) * n_out])
    params.append(jn.Layer(w.reshape(n_in, n_out), b))

data = jn.datasets.arrays(x[:n_train], y[:n_train]${hasValid ? ", valid=(x[n_train:], y[n_train:])" : ""})
net = jn.Network(sizes, hidden=jn.activations.${demo.hidden}, cost=jn.costs.${cost}())
run = jn.train(
    net,
    data,
    jn.Recipe(${SOURCES[demo.optimizer]}(${demo.rate}), l2=${demo.l2}),
    epochs=${epochNow()},
    batch_size=${Math.min(demo.batch, Math.max(demo.nTrain, 1))},
    params=tuple(params),
    order="sequential",
    dtype="float64",
)
print("training cost:", run.history.training_data_cost[-1])
${hasValid ? 'print("validation cost:", run.history.evaluation_data_cost[-1])\n' : ""}`;
}

// ---- Controls ----

function buildLayerFields() {
  const hidden = demo.sizes.slice(1, -1);
  const fields = hidden.map((n, l) => element("input", {
    type: "number", min: 1, max: MOST.units, step: 1, value: n, "aria-label": `units of layer ${l + 1}`, id: `units-${l + 1}`,
    onchange: ({ target }) => {
      const units = Math.round(Number(target.value));
      setHidden(hidden.map((old, k) => (k === l ? Math.min(Math.max(units || old, 1), MOST.units) : old)), `units-${l + 1}`);
    },
  }));
  const button = (text, isOff, onclick, id) => element("button", { type: "button", id, onclick, ...(isOff && { disabled: "" }) }, text);
  query("#layers").replaceChildren(...fields,
    button("Add a layer", hidden.length >= MOST.layers, () => setHidden([...hidden, hidden.at(-1) ?? 4], "add-layer"), "add-layer"),
    button("Remove one", hidden.length === 0, () => setHidden(hidden.slice(0, -1), "remove-layer"), "remove-layer"));
}

function setHidden(hidden, focused) {
  demo.sizes = [2, ...hidden, 1];
  drawWeights();
  buildLayerFields();
  query(`#${focused}`)?.focus();
  buildNet();
  showSettings();
  restart();
}

// A number of a field, if it is one of at least `low` and at most `MOST[id]`.
function readNumber(id, low, isWhole = false) {
  const field = query(`#${id}`);
  field.max = MOST[id];
  field.addEventListener("change", () => {
    const value = Number(field.value);
    const isRight = field.value !== "" && value >= low && value <= MOST[id];
    if (isRight) demo[id] = isWhole ? Math.round(value) : value;
    showSettings();
    if (isRight) restart();
  });
}

function frame() {
  const share = Number(query("#speed").value);
  for (let k = 0; k < Math.max(1, share); k++) trainFor(Math.min(share, 1));
  show(false);
  return demo.nTrain > 0 && epochNow() < MOST.epochs;
}

// Those who want no motion see the network twice a second, after as many epochs as others.
let lastShown = 0;
function calmFrame() {
  const now = performance.now();
  if (now - lastShown < 500) return true;
  lastShown = now;
  for (let k = 0; k < 30 * Number(query("#speed").value); k++) trainFor(1);
  show(true);
  return demo.nTrain > 0 && epochNow() < MOST.epochs;
}

readTheme();
const costChart = new Chart(query("#costs"), { height: 210 });
const normChart = new Chart(query("#norms"), { height: 210 });
const runner = new Runner(query("#run"), () => (reducedMotion() ? calmFrame() : frame()), () => show(true));
query("#step").addEventListener("click", () => { runner.stop(); trainFor(1); show(true); });
query("#reset").addEventListener("click", () => { runner.stop(); restart(); });
query("#redraw").addEventListener("click", () => { demo.seed += 1; drawWeights(); restart(); });
query("#data-name").addEventListener("change", ({ target }) => {
  demo.data = target.value;
  if (demo.data === "own") demo.nTrain = demo.xs.length;
  else generate();
  showSettings();
  restart();
});
query("#noise").addEventListener("input", ({ target }) => {
  demo.noise = Number(target.value);
  if (demo.data !== "own") generate();
  showSettings();
  restart();
});
for (const name of ["hidden", "cost"]) {
  query(`#${name}`).addEventListener("change", ({ target }) => { demo[name] = target.value; restart(); });
}
query("#optimizer").addEventListener("change", ({ target }) => {
  Object.assign(demo, { optimizer: target.value, rate: RATES[target.value] });
  showSettings();
  restart();
});
readNumber("rate", 0);
readNumber("l2", 0);
readNumber("batch", 1, true);
for (const button of document.querySelectorAll("[data-class]")) {
  button.addEventListener("click", () => {
    demo.newClass = Number(button.dataset.class);
    for (const other of document.querySelectorAll("[data-class]")) other.setAttribute("aria-pressed", other === button);
  });
}
maps.large.addEventListener("click", (event) => {
  const box = maps.large.getBoundingClientRect();
  const point = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  const at = [WINDOW * (2 * point[0] - 1), WINDOW * (1 - 2 * point[1])];
  usePoints([...demo.xs, at], [...demo.ys, [demo.newClass]]);
  showSettings();
});
query("#clear").addEventListener("click", () => { runner.stop(); usePoints([], []); showSettings(); });
query("#use-csv").addEventListener("click", () => {
  try {
    const [xs, ys] = readPoints(query("#csv").value);
    query("#csv-error").textContent = "";
    usePoints(xs, ys);
    showSettings();
  } catch (error) {
    query("#csv-error").textContent = error.message;
  }
});
query("#copy").addEventListener("click", async () => {
  showScript();
  query("#script").select();
  try {
    await navigator.clipboard.writeText(query("#script").value);
    query("#copied").textContent = "Copied.";
  } catch {
    query("#copied").textContent = "It is selected: press Ctrl-C.";
  }
});
query("#save").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([script()], { type: "text/x-python" }));
  element("a", { href: address, download: "playground.py" }).click();
  URL.revokeObjectURL(address);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readTheme(); show(true); });
new ResizeObserver(() => { measure(); showMaps(); }).observe(query(".columns.play"));
generate();
drawWeights();
buildLayerFields();
buildNet();
showSettings();
restart();
