"use strict";
// One neuron under two costs, from the same start. The whole training is computed whenever a number
// changes, since 300 steps of a neuron are quick; the epoch then only says how much of it is shown.

const N_EPOCHS = 300;
const INPUT = 1;
const TARGET = 0;
const OFFERED = ["quadratic", "cross-entropy", "quadratic-linear"];
const STYLES = [{ colour: "series-0" }, { colour: "series-1", dash: "7 5" }];

// The training of a neuron by gradient descent: for each epoch w, b, z, a, f'(z), the cost, its
// error delta and the gradients.
function trainNeuron(w, b, cost, learningRate) {
  const net = makeNetwork([1, 1], "sigmoid", cost);
  const flat = Float64Array.of(w, b);
  const path = [];
  for (let epoch = 0; epoch <= N_EPOCHS; epoch++) {
    const [z] = forward(net, layersOf(net.sizes, flat), [INPUT]).zs[0];
    const activation = activationOf(net, 0);
    const [dw, db] = gradient(net, flat, [[INPUT]], [[TARGET]]);
    path.push({
      w: flat[0], b: flat[1], z, a: activation.fn(z), prime: activation.prime(z),
      cost: COSTS[cost].fn([z], [TARGET]), delta: db, dw, db,
    });
    OPTIMIZERS.sgd.step(flat, [dw, db], { learning_rate: learningRate });
  }
  return path;
}

const demo = { epoch: 0, w: 2, b: 2, neurons: [], N_EPOCHS };

class Neuron {
  constructor(index, cost, learningRate) {
    Object.assign(this, { index, cost, learningRate });
    const choices = OFFERED.map((name) =>
      element("option", { value: name, ...(name === cost && { selected: "" }) }, COSTS[name].label),
    );
    this.select = element("select", { id: `cost-${index}`, onchange: () => this.change() }, ...choices);
    this.rate = element("input", {
      id: `rate-${index}`, type: "number", min: "0", step: "any", value: learningRate,
      onchange: () => this.change(), style: "width: 6.2rem",
    });
    const times = (factor, text) =>
      element("button", {
        type: "button", "aria-label": `learning rate times ${factor}`,
        onclick: () => {
          this.rate.value = Number((this.learningRate * factor).toPrecision(4));
          this.change();
        },
      }, text);
    this.diagram = svg("svg", { role: "img", viewBox: "0 0 400 88" });
    this.equation = element("div", { class: "equation numbers" });
    this.hill = element("div");
    const name = (text) => element("span", { class: "name" }, text);
    this.root = element("article", { class: "panel neuron" },
      element("div", { class: "row heading" },
        element("label", { class: "field" }, name("cost"), this.select),
        element("div", { class: "field" },
          element("label", { class: "name", for: `rate-${index}` }, "learning rate η"),
          element("div", { class: "row" }, this.rate, times(0.5, "½"), times(2, "×2")))),
      this.diagram, this.equation, this.hill);
    this.chart = new Chart(this.hill, { height: 210 });
  }

  change() {
    this.cost = this.select.value;
    const rate = Number(this.rate.value);
    if (rate >= 0 && Number.isFinite(rate)) this.learningRate = rate;
    this.rate.value = this.learningRate;
    trainBoth();
  }

  train() {
    this.path = trainNeuron(demo.w, demo.b, this.cost, this.learningRate);
  }

  // The neuron's name in sentences, with its learning rate where both have the same cost.
  get title() {
    const [first, second] = demo.neurons;
    const { label } = COSTS[this.cost];
    return first.cost === second.cost ? `${label} with η = ${this.learningRate}` : label;
  }

  show() {
    const now = this.path[demo.epoch];
    this.drawDiagram(now);
    this.drawHill(now);
    const cancels = this.cost === "cross-entropy";
    const error = numberText(now.a - TARGET);
    const slope = numberText(now.prime, 4);
    const parts = cancels
      ? ["δ = a − y = ", error, element("span", { class: "note" }, " (σ′(z) cancels)")]
      : [`δ = (a − y)·${this.cost === "quadratic" ? "σ′(z)" : "1"} = ${error} · `, element("mark", {}, slope), ` = ${numberText(now.delta, 4)}`];
    this.equation.replaceChildren(
      element("p", {}, ...parts),
      element("p", { class: "note" }, `∂C/∂w = 1·δ, ∂C/∂b = δ: the next step moves both by −ηδ = ${numberText(-this.learningRate * now.delta, 4)}`),
    );
  }

  drawDiagram({ w, b, z, a }) {
    const colour = colourOf(STYLES[this.index]);
    const width = Math.min(1 + 2 * Math.abs(w), 9);
    const text = (x, y, content, more = {}) => svg("text", { x, y, "text-anchor": "middle", "font-size": 14, style: "font-size: 14px", ...more }, content);
    const symbol = this.cost === "quadratic-linear" ? "z" : "σ(z)";
    this.diagram.replaceChildren(
      text(22, 49, "1"),
      svg("line", { x1: 40, x2: 158, y1: 44, y2: 44, stroke: colour, "stroke-width": width }),
      text(99, 28, `w = ${numberText(w, 2)}`),
      svg("circle", { cx: 200, cy: 44, r: 40, fill: "var(--raised)", stroke: colour, "stroke-width": 2.5 }),
      text(200, 36, `z = ${numberText(z, 2)}`),
      text(200, 56, `b = ${numberText(b, 2)}`, { style: "font-size: 12px", fill: "var(--muted)" }),
      svg("line", { x1: 242, x2: 296, y1: 44, y2: 44, stroke: colour, "stroke-width": 2.5 }),
      text(268, 30, symbol, { style: "font-size: 12px" }),
      text(345, 40, numberText(a), { style: "font-size: 22px; font-weight: 700" }),
      text(345, 62, "should be 0", { style: "font-size: 12px" }),
    );
    this.diagram.setAttribute("aria-label", `weight ${numberText(w, 2)}, bias ${numberText(b, 2)}, output ${numberText(a)}, target 0`);
  }

  drawHill({ z, a, prime }) {
    const linear = this.cost === "quadratic-linear";
    const { fn, prime: slope } = ACTIVATIONS[linear ? "linear" : "sigmoid"];
    const sizes = this.path.map((at) => Math.abs(at.z)).filter(Number.isFinite);
    const farthest = Math.min(Math.max(6, Math.ceil(Math.max(...sizes))), 40);
    const grid = Array.from({ length: 161 }, (_, k) => farthest * (k / 80 - 1));
    const style = STYLES[this.index];
    this.chart.draw({
      label: `The activation and its slope: at z = ${numberText(z, 2)} the output is ${numberText(a)} and the slope ${numberText(prime, 4)}.`,
      x: [-farthest, farthest], y: linear ? [-farthest, farthest] : [0, 1],
      xLabel: "weighted input z", yLabel: linear ? "a = z, and its slope, 1" : "σ(z), and its slope σ′(z), filled",
      lines: [
        { points: grid.map((x) => [x, slope(x)]), style: { colour: style.colour }, area: true },
        { points: grid.map((x) => [x, fn(x)]), style: "muted" },
      ],
      verticals: [{ x: z, style: { colour: "line", dash: "3 3" } }],
      dots: [
        { x: z, y: a, style: "ink", text: `a = ${numberText(a, 2)}` },
        { x: z, y: prime, style, text: linear ? "" : `σ′ = ${numberText(prime)}` },
      ],
    });
  }
}

function shareOfStart({ path }, epoch) {
  return path[0].cost === 0 ? 0 : path[epoch].cost / path[0].cost;
}

function drawCosts() {
  const epochs = Array.from({ length: N_EPOCHS + 1 }, (_, k) => k);
  const shares = demo.neurons.map((neuron) => epochs.map((epoch) => [epoch, shareOfStart(neuron, epoch)]));
  const highest = Math.max(1, ...shares.flat().map(([, share]) => (Number.isFinite(share) ? share : 1)));
  costChart.draw({
    label: `Cost by epoch as a share of the start: ${demo.neurons.map((neuron) => `${neuron.title} ${numberText(shareOfStart(neuron, demo.epoch), 2)}`).join(", ")} at epoch ${demo.epoch}.`,
    x: [0, N_EPOCHS], y: [0, Math.min(highest, 4)], xLabel: "epoch", yLabel: "",
    lines: shares.flatMap((points, k) => [
      { points, style: STYLES[k], faint: true },
      { points: points.slice(0, demo.epoch + 1), style: STYLES[k] },
    ]),
    verticals: [{ x: demo.epoch, style: { colour: "line", dash: "3 3" } }],
    dots: demo.neurons.map((neuron, k) => ({ x: demo.epoch, y: shareOfStart(neuron, demo.epoch), style: STYLES[k] })),
  });
  query("#legend").replaceChildren(...demo.neurons.map((neuron, k) => legendEntry(neuron.title, STYLES[k])));
}

function describe() {
  const sentences = demo.neurons.map((neuron) => {
    const [first, now] = [neuron.path[0], neuron.path[demo.epoch]];
    if (!Number.isFinite(now.cost)) return `${neuron.title}: it diverged, the learning rate is too large.`;
    return `${neuron.title}: the output went from ${numberText(first.a, 2)} to ${numberText(now.a, 2)}, and ${numberText(100 * shareOfStart(neuron, demo.epoch), 0)}% of the cost is left.`;
  });
  query("#summary").textContent = demo.epoch
    ? `After ${demo.epoch} epochs. ${sentences.join(" ")}`
    : `At the start: ${demo.neurons.map((neuron) => `the output is ${numberText(neuron.path[0].a, 2)} and δ ${numberText(neuron.path[0].delta, 4)} under ${neuron.title}`).join("; ")}.`;
}

function show() {
  query("#weight-text").textContent = numberText(demo.w, 1);
  query("#bias-text").textContent = numberText(demo.b, 1);
  query("#weight").value = demo.w;
  query("#bias").value = demo.b;
  query("#epoch").value = demo.epoch;
  query("#epoch-text").textContent = demo.epoch;
  query("#step").disabled = demo.epoch === N_EPOCHS;
  for (const button of document.querySelectorAll("#starts button")) {
    const chosen = Number(button.dataset.w) === demo.w && Number(button.dataset.b) === demo.b;
    button.setAttribute("aria-pressed", chosen);
  }
  drawCosts();
  demo.neurons.forEach((neuron) => neuron.show());
  if (!runner.running) describe();
}

function goTo(epoch) {
  demo.epoch = Math.min(Math.max(Math.round(epoch), 0), N_EPOCHS);
  show();
}

function trainBoth() {
  demo.neurons.forEach((neuron) => neuron.train());
  show();
}

function startFrom(w, b) {
  runner.stop();
  Object.assign(demo, { w, b, epoch: 0 });
  trainBoth();
}

// Two epochs a frame; at once for those who want no motion.
function frame() {
  goTo(reducedMotion() ? N_EPOCHS : demo.epoch + 2);
  return demo.epoch < N_EPOCHS;
}

const costChart = new Chart(query("#costs"), { height: 240, onDrag: (epoch) => { runner.stop(); goTo(epoch); } });
const runner = new Runner(query("#run"), frame, describe);
demo.neurons.push(new Neuron(0, "quadratic", 0.15), new Neuron(1, "cross-entropy", 0.005));
query("#neurons").append(...demo.neurons.map(({ root }) => root));

query("#run").addEventListener("click", () => {
  if (runner.running && demo.epoch === N_EPOCHS) goTo(0);
});
query("#step").addEventListener("click", () => { runner.stop(); goTo(demo.epoch + 1); });
query("#back").addEventListener("click", () => { runner.stop(); goTo(0); });
query("#epoch").addEventListener("input", (event) => { runner.stop(); goTo(Number(event.target.value)); });
for (const name of ["weight", "bias"]) {
  query(`#${name}`).addEventListener("input", () => startFrom(Number(query("#weight").value), Number(query("#bias").value)));
}
for (const button of document.querySelectorAll("#starts button")) {
  button.addEventListener("click", () => startFrom(Number(button.dataset.w), Number(button.dataset.b)));
}
trainBoth();
