"use strict";
// What the pages share apart from the network: elements, numbers as text, line charts, Run buttons.

const query = (selector, within = document) => within.querySelector(selector);
const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  return node;
}

// An HTML element with attributes ("onclick" adds a listener) and children, texts or elements.
function element(tag, attributes = {}, ...children) {
  const node = setAttributes(document.createElement(tag), attributes);
  node.append(...children);
  return node;
}

// An SVG element.
function svg(tag, attributes = {}, ...children) {
  const node = setAttributes(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
  node.append(...children);
  return node;
}

// A number as text, with a true minus sign: fixed digits, or powers of ten where it is tiny or huge.
function numberText(x, digits = 3) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
  const size = Math.abs(x);
  if (size !== 0 && (size < 0.5 * 10 ** -digits || size >= 1e5)) {
    const [mantissa, exponent] = x.toExponential(1).split("e");
    return `${mantissa}·10${superscript(Number(exponent))}`.replace("-", "−");
  }
  return x.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");
}

const raised = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const lowered = "₀₁₂₃₄₅₆₇₈₉";
const superscript = (n) => Array.from(String(n), (c) => raised[c]).join("");
const subscript = (n) => Array.from(String(n), (c) => lowered[c]).join("");

// Round numbers that divide a range into about `n` parts.
function niceTicks([low, high], n = 5) {
  const rough = (high - low) / n;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
  return ticks;
}

// A line chart in an element of the page. `draw` takes
//   x, y: ranges; xLabel, yLabel: texts; log: whether y is logarithmic
//   lines: [{points: [[x, y], …], style, faint, area}], verticals: [{x, style}], dots: [{x, y, style, text}]
// and describes itself to screen readers by `label`. What is not finite is left out. A style is a colour variable such as "series-0",
// or {colour, dash}.
class Chart {
  constructor(host, { height = 220, onDrag = null } = {}) {
    this.host = host;
    this.height = height;
    this.root = svg("svg", { role: "img" });
    host.append(this.root);
    new ResizeObserver(() => this.spec && this.draw(this.spec)).observe(host);
    if (onDrag) this.listen(onDrag);
  }

  listen(onDrag) {
    this.root.style.touchAction = "pan-y";
    this.root.style.cursor = "ew-resize";
    const report = (event) => {
      const left = this.root.getBoundingClientRect().left;
      const [low, high] = this.spec.x;
      const share = (event.clientX - left - this.left) / (this.width - this.left - this.right);
      onDrag(low + Math.min(Math.max(share, 0), 1) * (high - low));
    };
    this.root.addEventListener("pointerdown", (event) => {
      this.root.setPointerCapture(event.pointerId);
      report(event);
    });
    this.root.addEventListener("pointermove", (event) => event.buttons && report(event));
  }

  draw(spec) {
    this.spec = spec;
    this.width = Math.max(this.host.clientWidth, 160);
    [this.left, this.right, this.top, this.bottom] = [44, 12, 22, 36];
    const { width, height } = this;
    setAttributes(this.root, { viewBox: `0 0 ${width} ${height}`, "aria-label": spec.label });
    this.root.style.height = `${height}px`;
    const parts = [...this.frame(spec)];
    for (const line of spec.lines ?? []) parts.push(...this.line(line));
    for (const { x, style } of (spec.verticals ?? []).filter(({ x }) => Number.isFinite(x))) {
      const at = this.toX(x);
      parts.push(svg("line", { x1: at, x2: at, y1: this.top, y2: height - this.bottom, ...stroke(style), "stroke-width": 1.5 }));
    }
    for (const { x, y, style, text } of (spec.dots ?? []).filter((dot) => Number.isFinite(dot.x + dot.y))) {
      const [cx, cy] = [this.toX(x), this.toY(y)];
      parts.push(svg("circle", { cx, cy, r: 6, fill: colourOf(style), stroke: "var(--surface)", "stroke-width": 2 }));
      if (text) {
        const before = cx > width * 0.6;
        const place = { x: cx + (before ? -11 : 11), y: cy - 7, "text-anchor": before ? "end" : "start", "font-weight": 650 };
        parts.push(svg("text", place, text));
      }
    }
    this.root.replaceChildren(...parts);
  }

  toX(x) {
    const [low, high] = this.spec.x;
    return this.left + ((x - low) / (high - low)) * (this.width - this.left - this.right);
  }

  toY(y) {
    const scale = this.spec.log ? Math.log10 : (value) => value;
    const [low, high] = this.spec.y.map(scale);
    const share = (scale(Math.max(y, this.spec.log ? this.spec.y[0] : -Infinity)) - low) / (high - low);
    return this.height - this.bottom - Math.min(Math.max(share, -0.02), 1.05) * (this.height - this.top - this.bottom);
  }

  *frame({ x, y, xLabel, yLabel, log }) {
    const { left, right, top, bottom, width, height } = this;
    let yTicks = niceTicks(y, 4);
    if (log) {
      const [low, high] = y.map((value) => Math.round(Math.log10(value)));
      const step = Math.ceil((high - low) / 5);
      yTicks = [];
      for (let power = low; power <= high; power += step) yTicks.push(10 ** power);
    }
    for (const tick of yTicks) {
      const at = this.toY(tick);
      const text = log ? `10${superscript(Math.round(Math.log10(tick)))}` : tickText(tick);
      yield svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at });
      yield svg("text", { class: "tick", x: left - 6, y: at + 4, "text-anchor": "end" }, text);
    }
    for (const tick of niceTicks(x, Math.max(2, Math.min(6, (width - left) / 70)))) {
      yield svg("text", { class: "tick", x: this.toX(tick), y: height - bottom + 16, "text-anchor": "middle" }, tickText(tick));
    }
    yield svg("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
    yield svg("text", { class: "label", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel);
    yield svg("text", { class: "label", x: 4, y: 12 }, yLabel);
  }

  *line({ points: all, style, faint, area }) {
    const points = all.filter(([x, y]) => Number.isFinite(x + y));
    if (points.length < 2) return;
    const path = points.map(([x, y], k) => `${k ? "L" : "M"}${this.toX(x).toFixed(1)} ${this.toY(y).toFixed(1)}`).join("");
    if (area) {
      const base = this.toY(this.spec.log ? this.spec.y[0] : 0);
      const [first, last] = [points[0][0], points.at(-1)[0]].map((x) => this.toX(x));
      yield svg("path", { d: `${path}L${last} ${base}L${first} ${base}Z`, fill: colourOf(style), opacity: 0.22 });
    }
    yield svg("path", { class: faint ? "curve faint" : "curve", d: path, ...stroke(style) });
  }
}

// A line of a chart and its name.
function legendEntry(name, style) {
  const line = svg("line", { x1: 2, x2: 30, y1: 6, y2: 6, "stroke-width": 3, ...stroke(style) });
  const sample = svg("svg", { viewBox: "0 0 32 12", "aria-hidden": "true" }, line);
  return element("span", { class: "entry" }, sample, name);
}

const tickText = (tick) => String(Number(tick.toPrecision(6))).replace("-", "−");
const colourOf = (style) => `var(--${style.colour ?? style})`;
const stroke = (style) => ({ stroke: colourOf(style), "stroke-dasharray": style.dash ?? null });

// A button that runs `frame` in every frame of the screen until it is pressed again, or until
// `frame` returns false.
class Runner {
  constructor(button, frame, onStop = () => {}) {
    Object.assign(this, { button, frame, onStop, running: false });
    button.addEventListener("click", () => (this.running ? this.stop() : this.start()));
  }

  start() {
    this.running = true;
    this.show();
    const next = () => {
      if (!this.running) return;
      if (this.frame() === false) this.stop();
      else requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  }

  stop() {
    if (!this.running) return;
    this.running = false;
    this.show();
    this.onStop();
  }

  show() {
    this.button.textContent = this.running ? "Pause" : "Run";
  }
}
