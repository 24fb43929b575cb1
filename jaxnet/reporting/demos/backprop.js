"use strict";
// One example forward and back through a network of which every number is shown.
//
// All numbers are computed whenever one of them changes; the step only says which are shown.
// Layers are counted from 0 in the code, for the first one after the inputs, and from 1 on the page.

const MOST_LAYERS = 9;
const MOST_UNITS = 6;
const STEP_MILLISECONDS = 1300;
const BP1 = {
  quadratic: "δᴸ = ∂C/∂zᴸ = (a − y) · σ′(zᴸ)",
  "cross-entropy": "δᴸ = ∂C/∂zᴸ = a − y",
  "quadratic-linear": "δᴸ = ∂C/∂zᴸ = a − y",
};

const demo = {
  sizes: [2, 3, 2, 1], hidden: "sigmoid", cost: "quadratic", flat: null, x: [], y: [],
  step: 0, steps: [], chosen: null, lines: "w", rate: 1, costBefore: null, seed: 7,
};

// ---- The numbers ----

function draw() {
  demo.flat = drawParams(demo.sizes, randomFrom(demo.seed));
  demo.costBefore = null;
}

// The steps of the computation, in their order.
function stepsOf(nLayers) {
  const each = Array.from({ length: nLayers }, (_, l) => l);
  return [
    { kind: "input" },
    ...each.map((l) => ({ kind: "forward", l })),
    { kind: "cost" },
    { kind: "bp1", l: nLayers - 1 },
    ...each.slice(0, -1).reverse().map((l) => ({ kind: "bp2", l })),
    { kind: "bp3" },
    { kind: "bp4" },
  ];
}

function compute() {
  demo.net = makeNetwork(demo.sizes, demo.hidden, demo.cost);
  demo.layers = layersOf(demo.sizes, demo.flat);
  demo.passed = forward(demo.net, demo.layers, demo.x);
  demo.deltas = backward(demo.net, demo.layers, demo.passed, demo.y);
  demo.gradient = gradient(demo.net, demo.flat, [demo.x], [demo.y]);
  demo.gradientLayers = layersOf(demo.sizes, demo.gradient);
  demo.costNow = meanCost(demo.net, demo.flat, [demo.x], [demo.y]);
}

function descend(times) {
  demo.costBefore = demo.costNow;
  for (let k = 0; k < times; k++) {
    const g = gradient(demo.net, demo.flat, [demo.x], [demo.y]);
    OPTIMIZERS.sgd.step(demo.flat, g, { learning_rate: demo.rate });
  }
  compute();
  show();
}

// Whether the numbers of a step are shown yet.
function isShown(kind, l) {
  return demo.step >= demo.steps.findIndex((step) => step.kind === kind && (l === undefined || step.l === l));
}
const isDeltaShown = (l) => isShown(l === demo.sizes.length - 2 ? "bp1" : "bp2", l);

// ---- Names and products as text ----

const nameOf = (symbol, layer, unit) => `${symbol}${superscript(layer)}${subscript(unit + 1)}`;
const weightName = (l, i, j) => `w${superscript(l + 1)}[${i + 1}→${j + 1}]`;
// Two digits after the point, and more of a number that is small.
const short = (x) => numberText(x, x && Math.abs(x) < 0.1 ? 4 : 2);
const inBrackets = (x) => (x < 0 ? `(${short(x)})` : short(x));
const product = (a, b) => `${inBrackets(a)} · ${inBrackets(b)}`;

function forwardText(l, j) {
  const { w, b } = demo.layers[l];
  const [z, a] = [demo.passed.zs[l][j], demo.passed.as[l + 1][j]];
  const terms = Array.from(demo.passed.as[l], (ai, i) => product(w[i][j], ai));
  const f = activationOf(demo.net, l).symbol;
  return `${nameOf("z", l + 1, j)} = ${terms.join(" + ")} + ${inBrackets(b[j])} = ${numberText(z)}; `
    + `${nameOf("a", l + 1, j)} = ${f ? `${f}(z)` : "z"} = ${numberText(a)}`;
}

function deltaText(l, j) {
  const [z, delta] = [demo.passed.zs[l][j], demo.deltas[l][j]];
  const prime = activationOf(demo.net, l).prime(z);
  if (l === demo.sizes.length - 2) {
    const [a, y] = [demo.passed.as[l + 1][j], demo.y[j]];
    const slope = demo.cost === "quadratic" ? ` · ${numberText(prime)}` : "";
    return `${nameOf("δ", l + 1, j)} = (${short(a)} − ${inBrackets(y)})${slope} = ${numberText(delta, 4)}`;
  }
  const terms = Array.from(demo.deltas[l + 1], (next, k) => product(demo.layers[l + 1].w[j][k], next));
  return `${nameOf("δ", l + 1, j)} = (${terms.join(" + ")}) · ${numberText(prime)} = ${numberText(delta, 4)}`;
}

function weightText(l, i, j) {
  const [a, delta] = [demo.passed.as[l][i], demo.deltas[l][j]];
  return `∂C/∂${weightName(l, i, j)} = ${nameOf("a", l, i)} · ${nameOf("δ", l + 1, j)} = `
    + `${numberText(a)} · ${numberText(delta, 4)} = ${numberText(demo.gradientLayers[l].w[i][j], 5)}`;
}

const vectorText = (numbers) => `(${Array.from(numbers, (x) => numberText(x)).join(", ")})`;
const units = (l) => Array.from({ length: demo.sizes[l + 1] }, (_, j) => j);

// What the page says of a step: a heading and lines.
function explain({ kind, l }) {
  const each = demo.layers.map((_, index) => index);
  const output = demo.passed.as.at(-1);
  switch (kind) {
    case "input":
      return ["The inputs", `a⁰ = x = ${vectorText(demo.x)}`, "Next: each layer's weighted inputs z, and its activations a."];
    case "forward":
      return [`Forward, layer ${l + 1}`, ...units(l).map((j) => forwardText(l, j))];
    case "cost":
      return ["The cost", `a = ${vectorText(output)}, should be ${vectorText(demo.y)}`,
        demo.cost === "cross-entropy" ? "C = −Σ[y ln a + (1−y) ln(1−a)]" : "C = ½ Σ(a − y)²", `C = ${numberText(demo.costNow, 5)}`];
    case "bp1":
      return ["The error of the outputs, BP1", ...units(l).map((j) => deltaText(l, j))];
    case "bp2":
      return [`The error goes back to layer ${l + 1}, BP2`, ...units(l).map((j) => deltaText(l, j))];
    case "bp3":
      return ["The biases' gradients, BP3", ...each.map((index) => `∂C/∂b${superscript(index + 1)} = δ${superscript(index + 1)} = ${vectorText(demo.deltas[index])}`)];
    default:
      return ["The weights' gradients, BP4", weightText(0, 0, 0), "Point at a line, or at a weight in the tables, for its own product."];
  }
}

// What the page says of a chosen weight or unit, as far as it is computed.
function explainChosen({ kind, l, i, j }) {
  if (kind === "weight") {
    return [`The weight ${weightName(l, i, j)} = ${numberText(demo.layers[l].w[i][j])}`,
      isShown("bp4") ? weightText(l, i, j) : `It multiplies ${nameOf("a", l, i)}; its gradient comes last, by BP4.`];
  }
  if (l < 0) return [`Input ${j + 1}`, `${nameOf("a", 0, j)} = ${numberText(demo.x[j])}`];
  const lines = [`Unit ${j + 1} of layer ${l + 1}`];
  if (isShown("forward", l)) lines.push(forwardText(l, j));
  if (isDeltaShown(l)) lines.push(deltaText(l, j));
  if (isShown("bp3")) lines.push(`∂C/∂${nameOf("b", l + 1, j)} = ${nameOf("δ", l + 1, j)}`);
  return lines;
}

// ---- The picture: built when the sizes or the width change, and filled with numbers by `show` ----

const picture = { root: svg("svg"), edges: [], boxes: [] };
const BOX = { width: 88, height: 62 };
const WIDTHS = { box: [64, 88], gap: 17 }; // of a box on narrow and wide screens, and between boxes

function layout() {
  const host = query("#network");
  const nColumns = demo.sizes.length;
  const { paddingLeft, paddingRight } = getComputedStyle(host.parentElement);
  const room = host.parentElement.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  const affordable = (room - 4 - (nColumns - 1) * WIDTHS.gap) / nColumns;
  BOX.width = Math.min(Math.max(affordable, WIDTHS.box[0]), WIDTHS.box[1]);
  const width = Math.max(room, nColumns * (BOX.width + WIDTHS.gap) - WIDTHS.gap + 4);
  const height = Math.max(...demo.sizes) * (BOX.height + 26) + 26;
  const gap = (width - BOX.width - 4) / (nColumns - 1);
  const place = (column, row) => ({
    x: 2 + BOX.width / 2 + column * gap,
    y: 26 + ((height - 26) * (row + 0.5)) / demo.sizes[column],
  });
  return { width, height, place, gap };
}

function build() {
  const { width, height, place, gap } = layout();
  setAttributes(picture.root, { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `A network of ${demo.sizes.join(", ")} units` });
  Object.assign(picture.root.style, { width: `${width}px`, height: `${height}px` });
  picture.edges = [];
  picture.boxes = [];
  const heads = demo.sizes.map((_, column) => {
    const text = column === 0 ? "inputs" : column === demo.sizes.length - 1 ? "output" : `layer ${column}`;
    return svg("text", { class: "head", x: place(column, 0).x, y: 12, "text-anchor": "middle" }, text);
  });
  demo.layers.forEach(({ w }, l) => w.forEach((row, i) => row.forEach((_, j) => {
    picture.edges.push(buildEdge(l, i, j, place(l, i), place(l + 1, j), gap));
  })));
  demo.sizes.forEach((n, column) => {
    for (let j = 0; j < n; j++) picture.boxes.push(buildBox(column - 1, j, place(column, j)));
  });
  picture.root.replaceChildren(
    ...heads, ...picture.edges.map(({ node }) => node), ...picture.edges.map(({ text }) => text),
    ...picture.boxes.map(({ node }) => node),
  );
  query("#network").replaceChildren(picture.root);
}

// Listeners that choose a part while it is pointed at or has the focus.
function choosing(part) {
  const choose = () => { demo.chosen = part; showChosen(); };
  return { onpointerenter: choose, onfocus: choose, onclick: choose };
}

function buildEdge(l, i, j, from, to, gap) {
  const ends = { x1: from.x + BOX.width / 2, y1: from.y, x2: to.x - BOX.width / 2, y2: to.y };
  const seen = svg("line", { class: "seen", ...ends });
  const node = svg("g", { class: "edge", tabindex: 0, role: "img", ...choosing({ kind: "weight", l, i, j }) },
    svg("line", { class: "touch", ...ends }), seen);
  // Numbers of lines that begin at one unit stand at different places along them.
  const share = demo.sizes[l + 1] === 1 ? 0.45 : 0.22 + (0.5 * j) / (demo.sizes[l + 1] - 1);
  const isRoomy = gap - BOX.width > 100 && demo.sizes[l] * demo.sizes[l + 1] <= 9;
  const text = svg("text", {
    class: "edge-text", "text-anchor": "middle", visibility: isRoomy ? "visible" : "hidden",
    x: ends.x1 + share * (ends.x2 - ends.x1), y: ends.y1 + share * (ends.y2 - ends.y1) + 4,
  });
  return { node, seen, text, l, i, j };
}

function buildBox(l, j, { x, y }) {
  const [left, top] = [x - BOX.width / 2, y - BOX.height / 2];
  const isInput = l < 0;
  const value = (row) => svg("text", { x: left + BOX.width - 7, y: top + 18 + 17 * row, "text-anchor": "end" });
  const symbol = (text, row) => svg("text", { class: "symbol", x: left + 7, y: top + 18 + 17 * row }, text);
  const rows = isInput ? ["a"] : ["z", "a", "δ"];
  const values = rows.map((_, row) => value(isInput ? 1 : row));
  const tint = svg("rect", { class: "tint", x: left, y: top, width: BOX.width, height: BOX.height, rx: 9 });
  const bar = svg("rect", { class: "bar", x: left + 5, y: top + BOX.height - 7, height: 4, rx: 2 });
  const node = svg("g", { class: "unit", tabindex: 0, role: "img", ...choosing({ kind: "unit", l, j }) },
    svg("rect", { class: "box", x: left, y: top, width: BOX.width, height: BOX.height, rx: 9 }), tint,
    ...rows.map((text, row) => symbol(text, isInput ? 1 : row)), ...values, bar);
  return { node, tint, bar, values, l, j };
}

// ---- Showing the numbers ----

// A number that fits into a box.
function boxText(x) {
  if (BOX.width === WIDTHS.box[1]) return numberText(x, 3);
  const isTiny = x !== 0 && Math.abs(x) < 0.005;
  return isTiny ? x.toExponential(0).replaceAll("-", "−") : numberText(x, 2);
}

// A size as a share of the largest one; 1 where numbers have overflowed and there is none.
const shareOf = (size, largest) => (Number.isFinite(size / largest) ? size / largest : 1);
const signOf = (x) => (x < 0 ? "negative" : "positive");

function showEdges() {
  const isGradient = demo.lines === "dw" && isShown("bp4");
  const numbers = isGradient ? demo.gradientLayers : demo.layers;
  const largest = isGradient ? Math.max(...demo.gradient.map(Math.abs), 1e-300) : 1.5;
  for (const { node, seen, text, l, i, j } of picture.edges) {
    const number = numbers[l].w[i][j];
    const size = Math.min(shareOf(Math.abs(number), largest), 2);
    setAttributes(seen, { stroke: `var(--${signOf(number)})`, "stroke-width": 0.6 + 4.4 * size });
    text.textContent = numberText(number, isGradient ? 3 : 2);
    const gradientPart = isShown("bp4") ? weightText(l, i, j) : "gradient not computed yet";
    node.setAttribute("aria-label", `${weightName(l, i, j)} = ${numberText(demo.layers[l].w[i][j])}; ${gradientPart}`);
  }
}

function showBoxes() {
  const step = demo.steps[demo.step];
  const largest = Math.max(...demo.deltas.flatMap((delta) => Array.from(delta, Math.abs)), 1e-300);
  for (const { node, tint, bar, values, l, j } of picture.boxes) {
    const isComputed = l < 0 || isShown("forward", l);
    const a = demo.passed.as[l + 1][j];
    setAttributes(tint, { fill: `var(--soft-${signOf(a)})`, opacity: isComputed ? Math.min(0.15 + shareOf(Math.abs(a), 1), 1) : 0 });
    const isActive = step.l === l || (step.kind === "input" && l < 0) || (step.kind === "cost" && l === demo.sizes.length - 2);
    node.classList.toggle("active", isActive);
    const texts = [isComputed ? boxText(a) : "·"];
    bar.setAttribute("width", 0);
    if (l >= 0) {
      const delta = demo.deltas[l][j];
      texts.unshift(isComputed ? boxText(demo.passed.zs[l][j]) : "·");
      texts.push(isDeltaShown(l) ? boxText(delta) : "·");
      if (isDeltaShown(l)) setAttributes(bar, { width: Math.max(1, (BOX.width - 10) * shareOf(Math.abs(delta), largest)), fill: `var(--${signOf(delta)})` });
    }
    values.forEach((value, row) => (value.textContent = texts[row]));
    node.setAttribute("aria-label", explainChosen({ kind: "unit", l, j }).join("; "));
  }
}

function showChosen() {
  const { chosen } = demo;
  const is = (kind, l, i, j) => chosen?.kind === kind && chosen.l === l && (i === null || chosen.i === i) && chosen.j === j;
  for (const { node, l, i, j } of picture.edges) node.classList.toggle("chosen", is("weight", l, i, j));
  for (const { node, l, j } of picture.boxes) {
    const isEnd = chosen?.kind === "weight" && ((chosen.l === l && chosen.j === j) || (chosen.l - 1 === l && chosen.i === j));
    node.classList.toggle("chosen", is("unit", l, null, j) || isEnd);
  }
  for (const cell of document.querySelectorAll("#tables td[data-l]")) {
    const [l, i, j] = [cell.dataset.l, cell.dataset.i, cell.dataset.j].map(Number);
    cell.classList.toggle("chosen", is("weight", l, i, j));
  }
  const step = demo.steps[demo.step];
  const [heading, ...lines] = chosen ? explainChosen(chosen) : explain(step);
  query("#now").replaceChildren(element("h2", {}, heading), ...lines.map((line) => element("p", {}, line)));
  const lit = chosen?.kind === "weight" && isShown("bp4") ? "bp4" : step.kind;
  for (const item of document.querySelectorAll("#equations li")) {
    item.classList.toggle("lit", item.id === lit);
    if (item.id === lit) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

function showNorms() {
  const norms = demo.deltas.map((delta) => Math.hypot(...delta));
  const largest = Math.max(...norms, 1e-300);
  const bars = element("div", { class: "bars", role: "img", "aria-label": norms.map((norm, l) => `layer ${l + 1}: ${numberText(norm, 4)}`).join(", ") });
  norms.forEach((norm, l) => {
    const width = isDeltaShown(l) ? 100 * shareOf(norm, largest) : 0;
    bars.append(
      element("span", {}, `‖δ${superscript(l + 1)}‖`),
      element("span", {}, element("span", { class: "bar", style: `display: block; width: ${width}%` })),
      element("span", {}, isDeltaShown(l) ? numberText(norm, 4) : "·"),
    );
  });
  query("#norms").replaceChildren(bars);
  const ratio = norms.at(-1) / norms[0];
  query("#vanishing").textContent = !isDeltaShown(0) ? "The error has not come to the first layer yet."
    : !norms.every(Number.isFinite) ? "The numbers have overflowed: choose new weights."
    : norms[0] === 0 ? "In the first layer the error is 0: nothing there learns from this example."
    : ratio > 1 ? `In the first layer the error is ${numberText(ratio, ratio < 100 ? 1 : 0)} times smaller than at the output.`
    : `In the first layer the error is ${numberText(1 / ratio, 1)} times as large as at the output.`;
}

function showTables() {
  for (const { cell, input, span, l, i, j } of tableCells) {
    const layer = demo.layers[l];
    const [number, slope] = i < 0 ? [layer.b[j], demo.gradientLayers[l].b[j]] : [layer.w[i][j], demo.gradientLayers[l].w[i][j]];
    if (document.activeElement !== input) input.value = Number.isFinite(number) ? Number(number.toFixed(3)) : "";
    span.textContent = isShown(i < 0 ? "bp3" : "bp4") ? numberText(slope, 5) : "·";
    span.className = `gradient ${signOf(slope)}`;
    cell.title = i < 0 ? "" : weightName(l, i, j);
  }
}

function show() {
  query("#step").value = demo.step;
  query("#step-text").textContent = `${demo.step + 1} of ${demo.steps.length}`;
  query("#previous").disabled = query("#first").disabled = demo.step === 0;
  query("#next").disabled = query("#last").disabled = demo.step === demo.steps.length - 1;
  query("#deeper").disabled = demo.sizes.length >= MOST_LAYERS;
  query("#shallower").disabled = demo.sizes.length <= 2;
  query("#bp1-text").textContent = BP1[demo.cost];
  query("#cost-text").textContent = isShown("cost") ? numberText(demo.costNow, 6) : "·";
  query("#cost-before").textContent = demo.costBefore === null ? "" : `before: ${numberText(demo.costBefore, 6)}`;
  showEdges();
  showBoxes();
  showNorms();
  showTables();
  showChosen();
}

// ---- Tables and fields ----

let tableCells = [];

function buildTables() {
  tableCells = [];
  const tables = demo.layers.map(({ w }, l) => {
    const head = element("tr", {}, element("th", {}, ""), ...units(l).map((j) => element("th", { scope: "col" }, `to ${j + 1}`)));
    const rows = [...w.keys(), -1].map((i) => {
      const name = i < 0 ? "bias" : l ? `from ${i + 1}` : `from x${subscript(i + 1)}`;
      return element("tr", {}, element("th", { scope: "row" }, name), ...units(l).map((j) => tableCell(l, i, j)));
    });
    const caption = `Layer ${l + 1}`;
    return element("div", { class: "panel wide" }, element("table", {}, element("caption", {}, caption), head, ...rows));
  });
  query("#tables").replaceChildren(...tables);
}

function tableCell(l, i, j) {
  const span = element("span", { class: "gradient" });
  const part = i < 0 ? { kind: "unit", l, j } : { kind: "weight", l, i, j };
  const input = element("input", {
    type: "number", step: "any", "aria-label": i < 0 ? nameOf("b", l + 1, j) : weightName(l, i, j),
    onfocus: choosing(part).onfocus,
    onchange: () => {
      if (input.value !== "" && Number.isFinite(Number(input.value))) {
        const row = i < 0 ? demo.layers[l].b : demo.layers[l].w[i];
        row[j] = Number(input.value);
        compute();
      }
      show();
    },
  });
  const cell = element("td", { "data-l": l, "data-i": i, "data-j": j, onpointerenter: choosing(part).onpointerenter }, input, span);
  tableCells.push({ cell, input, span, l, i, j });
  return cell;
}

function buildExample() {
  const field = (name, numbers, k) => element("label", { class: "field" },
    element("span", { class: "name" }, `${name}${subscript(k + 1)}`),
    element("input", {
      type: "number", step: "any", value: numbers[k], id: `${name}-${k}`,
      oninput: ({ target }) => {
        if (target.value === "" || !Number.isFinite(Number(target.value))) return;
        numbers[k] = Number(target.value);
        compute();
        show();
      },
    }));
  query("#example").replaceChildren(
    ...demo.x.map((_, k) => field("x", demo.x, k)), ...demo.y.map((_, k) => field("y", demo.y, k)));
}

function setSizes(sizes) {
  demo.sizes = sizes;
  demo.x = Array.from({ length: sizes[0] }, (_, k) => demo.x[k] ?? [0.8, -0.5][k % 2]);
  demo.y = Array.from({ length: sizes.at(-1) }, (_, k) => demo.y[k] ?? [1, 0][k % 2]);
  demo.steps = stepsOf(sizes.length - 1);
  demo.step = demo.steps.length - 1;
  demo.chosen = null;
  query("#step").max = demo.step;
  query("#sizes").value = sizes.join("-");
  query("#sizes-error").textContent = "";
  draw();
  compute();
  build();
  buildTables();
  buildExample();
  show();
}

function readSizes() {
  const text = query("#sizes").value.trim();
  const sizes = text.split(/[\s,-]+/).map(Number);
  const isRight = sizes.length >= 2 && sizes.length <= MOST_LAYERS && sizes.every((n) => Number.isInteger(n) && n >= 1 && n <= MOST_UNITS);
  if (isRight) setSizes(sizes);
  else query("#sizes-error").textContent = `Write 2 to ${MOST_LAYERS} whole numbers from 1 to ${MOST_UNITS}, such as 2-3-2-1, not “${text}”.`;
}

function goTo(step) {
  demo.step = Math.min(Math.max(step, 0), demo.steps.length - 1);
  demo.chosen = null;
  show();
}

let lastTick = 0;
function frame() {
  if (performance.now() - lastTick < STEP_MILLISECONDS) return true;
  lastTick = performance.now();
  goTo(demo.step + 1);
  return demo.step < demo.steps.length - 1;
}

const runner = new Runner(query("#play"), frame);
query("#play").addEventListener("click", () => {
  if (runner.running && demo.step === demo.steps.length - 1) goTo(0);
  lastTick = performance.now();
});
const buttons = { first: () => 0, previous: () => demo.step - 1, next: () => demo.step + 1, last: () => Infinity };
for (const [name, target] of Object.entries(buttons)) {
  query(`#${name}`).addEventListener("click", () => { runner.stop(); goTo(target()); });
}
query("#step").addEventListener("input", ({ target }) => { runner.stop(); goTo(Number(target.value)); });
query("#sizes").addEventListener("change", readSizes);
query("#deeper").addEventListener("click", () => setSizes([...demo.sizes.slice(0, -1), 3, demo.sizes.at(-1)]));
query("#shallower").addEventListener("click", () => setSizes([...demo.sizes.slice(0, -2), demo.sizes.at(-1)]));
query("#redraw").addEventListener("click", () => { demo.seed += 1; draw(); compute(); show(); });
for (const name of ["hidden", "cost"]) {
  query(`#${name}`).addEventListener("change", ({ target }) => { demo[name] = target.value; compute(); show(); });
}
query("#rate").addEventListener("change", ({ target }) => {
  if (Number(target.value) >= 0) demo.rate = Number(target.value);
  target.value = demo.rate;
});
query("#descend").addEventListener("click", () => descend(1));
query("#descend-100").addEventListener("click", () => descend(100));
for (const radio of document.querySelectorAll("[name=lines]")) {
  radio.addEventListener("change", () => { demo.lines = radio.value; show(); });
}
// Beside the network the page says again what the step is.
query("#network").addEventListener("pointerleave", () => { demo.chosen = null; showChosen(); });
new ResizeObserver(() => { build(); show(); }).observe(query("#network").parentElement);
setSizes(demo.sizes);
goTo(0);
