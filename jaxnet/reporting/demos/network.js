"use strict";
// A feed-forward network whose gradient is computed by hand, in the words of jaxnet and of the
// book (Nielsen, Neural Networks and Deep Learning, chapter 2):
//
//   w[i][j]  the weight from input i to unit j of a layer; w has the shape (n_in, n_out)
//   b[j]     the bias of unit j
//   z        the weighted inputs of a layer, a = f(z) its activations
//   delta    its error, the derivative of the cost C by z
//
//   (BP1)  delta of the output layer = dC/dz, which each cost below has as `delta`
//   (BP2)  delta of a hidden layer   = (w of the next layer · delta of the next layer) · f'(z)
//   (BP3)  dC/db[j]    = delta[j]
//   (BP4)  dC/dw[i][j] = a[i] of the layer before · delta[j]
//
// All pages share this file; tests compare it with jaxnet to ten digits.

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

// ---- Activations: f, its derivative `prime` ----

// 1/(1+e⁻ᶻ); the exponential is of −|z|, so that it does not overflow.
function sigmoid(z) {
  const e = Math.exp(-Math.abs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}

// ln(1+eᶻ)
function softplus(z) {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

const ACTIVATIONS = {
  sigmoid: { symbol: "σ", fn: sigmoid, prime: (z) => sigmoid(z) * sigmoid(-z) },
  tanh: { symbol: "tanh", fn: Math.tanh, prime: (z) => 4 * sigmoid(2 * z) * sigmoid(-2 * z) },
  relu: { symbol: "relu", fn: (z) => Math.max(z, 0), prime: (z) => (z > 0 ? 1 : 0) },
  softplus: { symbol: "softplus", fn: softplus, prime: sigmoid },
  linear: { symbol: "", fn: (z) => z, prime: () => 1 },
  // It mixes its inputs, so that it has a function of all of them; it is for outputs only.
  softmax: { symbol: "softmax", ofAll: softmax },
};

// eᶻ/Σeᶻ; the exponentials are of z − max z, so that none overflows.
function softmax(z) {
  const largest = Math.max(...z);
  const exponentials = z.map((zk) => Math.exp(zk - largest));
  const total = sum(exponentials);
  return exponentials.map((e) => e / total);
}

// ---- Costs: functions of the weighted inputs z of the output layer and of the targets y ----

// ½Σ(a−y)², with the error (a−y)·f'(z): small where f is flat, even if a is wrong.
function quadratic(output) {
  const { fn, prime } = ACTIVATIONS[output];
  return {
    output,
    fn: (z, y) => 0.5 * sum(Array.from(z, (zk, k) => (fn(zk) - y[k]) ** 2)),
    delta: (z, y) => Array.from(z, (zk, k) => (fn(zk) - y[k]) * prime(zk)),
  };
}

const COSTS = {
  quadratic: { label: "quadratic", ...quadratic("sigmoid") },
  // −Σ[y ln a + (1−y) ln(1−a)] with a = σ(z): f' cancels, and the error is a − y.
  "cross-entropy": {
    label: "cross-entropy",
    output: "sigmoid",
    fn: (z, y) => sum(Array.from(z, (zk, k) => y[k] * softplus(-zk) + (1 - y[k]) * softplus(zk))),
    delta: (z, y) => Array.from(z, (zk, k) => sigmoid(zk) - y[k]),
  },
  "quadratic-linear": { label: "quadratic, linear output", ...quadratic("linear") },
  // −Σ y ln a with a = softmax(z), and the error aΣy − y.
  "log-likelihood": {
    label: "log-likelihood",
    output: "softmax",
    fn: (z, y) => -sum(Array.from(softmax(z), (a, k) => (y[k] ? y[k] * Math.log(a) : 0))),
    delta: (z, y) => Array.from(softmax(z), (a, k) => a * sum(y) - y[k]),
  },
};

// ---- Networks ----

// A network: `sizes` from the inputs to the outputs, the activation of the hidden layers, the cost.
function makeNetwork(sizes, hidden, cost) {
  return { sizes, hidden, cost };
}

// The activation of layer l, counted from 0 for the first layer after the inputs.
function activationOf(net, l) {
  const isOutput = l === net.sizes.length - 2;
  return ACTIVATIONS[isOutput ? COSTS[net.cost].output : net.hidden];
}

function countParams(sizes) {
  return sum(sizes.slice(1).map((nOut, l) => (sizes[l] + 1) * nOut));
}

// Layers {w, b} that are views of one flat vector, in the order w, b, w, b, …: the optimizers see
// the vector, the network its layers.
function layersOf(sizes, flat) {
  let start = 0;
  const take = (n) => flat.subarray(start, (start += n));
  return sizes.slice(1).map((nOut, l) => ({
    w: Array.from({ length: sizes[l] }, () => take(nOut)),
    b: take(nOut),
  }));
}

// Weights N(0, 1/n_in) and biases N(0, 1), as jaxnet draws them (from another generator).
function drawParams(sizes, random) {
  const flat = new Float64Array(countParams(sizes));
  layersOf(sizes, flat).forEach(({ w, b }, l) => {
    for (const row of w) row.forEach((_, j) => (row[j] = gaussian(random) / Math.sqrt(sizes[l])));
    b.forEach((_, j) => (b[j] = gaussian(random)));
  });
  return flat;
}

// The weighted inputs and the activations of all layers; as[0] are the inputs x.
function forward(net, layers, x) {
  const zs = [];
  const as = [x];
  layers.forEach(({ w, b }, l) => {
    const a = as[l];
    const z = Float64Array.from(b);
    for (let i = 0; i < a.length; i++) {
      for (let j = 0; j < z.length; j++) z[j] += w[i][j] * a[i];
    }
    zs.push(z);
    const { fn, ofAll } = activationOf(net, l);
    as.push(ofAll ? ofAll(z) : z.map(fn));
  });
  return { zs, as };
}

// The same for many inputs at once, without a new array for each: activations[l] has n rows of the
// layer's activations, one row after the other, and activations[0] the inputs.
function forwardMany(net, layers, activations, n) {
  layers.forEach(({ w, b }, l) => {
    const { fn } = activationOf(net, l);
    const [before, after] = [activations[l], activations[l + 1]];
    const [nIn, nOut] = [w.length, b.length];
    for (let k = 0; k < n; k++) {
      const first = k * nOut;
      for (let j = 0; j < nOut; j++) after[first + j] = b[j];
      for (let i = 0; i < nIn; i++) {
        const [a, row] = [before[k * nIn + i], w[i]];
        for (let j = 0; j < nOut; j++) after[first + j] += row[j] * a;
      }
      for (let j = 0; j < nOut; j++) after[first + j] = fn(after[first + j]);
    }
  });
}

// The errors of all layers, from the last to the first.
function backward(net, layers, { zs }, y) {
  const last = layers.length - 1;
  const deltas = [];
  deltas[last] = Float64Array.from(COSTS[net.cost].delta(zs[last], y)); // BP1
  for (let l = last - 1; l >= 0; l--) {
    const { prime } = activationOf(net, l);
    const next = layers[l + 1].w;
    deltas[l] = zs[l].map((z, i) => {
      let back = 0;
      for (let j = 0; j < deltas[l + 1].length; j++) back += next[i][j] * deltas[l + 1][j];
      return back * prime(z); // BP2
    });
  }
  return deltas;
}

// Adds one example's gradient, times a factor, to the layers of `into`; returns the errors.
function addGradient(net, layers, x, y, into, factor) {
  const passed = forward(net, layers, x);
  const deltas = backward(net, layers, passed, y);
  deltas.forEach((delta, l) => {
    const a = passed.as[l];
    for (let j = 0; j < delta.length; j++) {
      into[l].b[j] += factor * delta[j]; // BP3
      for (let i = 0; i < a.length; i++) into[l].w[i][j] += factor * a[i] * delta[j]; // BP4
    }
  });
  return deltas;
}

// The gradient of the mean cost of examples, as one flat vector.
function gradient(net, flat, xs, ys) {
  const total = new Float64Array(flat.length);
  const [layers, into] = [layersOf(net.sizes, flat), layersOf(net.sizes, total)];
  xs.forEach((x, k) => addGradient(net, layers, x, ys[k], into, 1 / xs.length));
  return total;
}

// The mean cost of examples.
function meanCost(net, flat, xs, ys) {
  const layers = layersOf(net.sizes, flat);
  const costs = xs.map((x, k) => COSTS[net.cost].fn(forward(net, layers, x).zs.at(-1), ys[k]));
  return sum(costs) / xs.length;
}

// ---- Optimizers: jaxnet's, with its names and defaults ----
//
// `step(w, g, hyper, state)` changes the parameters w, given their gradient g. `state` is an object
// that is empty at first; `vector(state, name)` is a vector of zeros that stays in it.

function vector(state, name, length, start = 0) {
  return (state[name] ??= new Float64Array(length).fill(start));
}

const OPTIMIZERS = {
  // w ← w − ηg
  sgd: {
    hyper: { learning_rate: 0.5 },
    step(w, g, { learning_rate: eta }) {
      for (let i = 0; i < w.length; i++) w[i] -= eta * g[i];
    },
  },
  // v ← μv − ηg, w ← w + v
  momentum: {
    hyper: { learning_rate: 0.1, decay: 0.9 },
    step(w, g, { learning_rate: eta, decay }, state) {
      const v = vector(state, "v", w.length);
      for (let i = 0; i < w.length; i++) {
        v[i] = decay * v[i] - eta * g[i];
        w[i] += v[i];
      }
    },
  },
  // v ← μv − ηg, w ← w + μv − ηg
  nesterov: {
    hyper: { learning_rate: 0.1, decay: 0.9 },
    step(w, g, { learning_rate: eta, decay }, state) {
      const v = vector(state, "v", w.length);
      for (let i = 0; i < w.length; i++) {
        v[i] = decay * v[i] - eta * g[i];
        w[i] += decay * v[i] - eta * g[i];
      }
    },
  },
  // s ← s + g², w ← w − ηg/√(s+ε)
  adagrad: {
    hyper: { learning_rate: 0.01, initial_accumulator_value: 0.1, eps: 1e-7 },
    step(w, g, { learning_rate: eta, initial_accumulator_value: start, eps }, state) {
      const s = vector(state, "s", w.length, start);
      for (let i = 0; i < w.length; i++) {
        s[i] += g[i] ** 2;
        w[i] -= (eta * g[i]) / Math.sqrt(s[i] + eps);
      }
    },
  },
  // s ← ρs + (1−ρ)g², w ← w − ηg/√(s+ε)
  rmsprop: {
    hyper: { learning_rate: 1e-3, decay: 0.9, eps: 1e-8 },
    step(w, g, { learning_rate: eta, decay, eps }, state) {
      const s = vector(state, "s", w.length);
      for (let i = 0; i < w.length; i++) {
        s[i] = decay * s[i] + (1 - decay) * g[i] ** 2;
        w[i] -= (eta * g[i]) / Math.sqrt(s[i] + eps);
      }
    },
  },
  // m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w − η·m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε)
  adam: {
    hyper: { learning_rate: 1e-3, b1: 0.9, b2: 0.999, eps: 1e-8 },
    step(w, g, { learning_rate: eta, b1, b2, eps }, state) {
      const [m, v] = [vector(state, "m", w.length), vector(state, "v", w.length)];
      const t = (state.t = (state.t ?? 0) + 1);
      for (let i = 0; i < w.length; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2;
        w[i] -= (eta * m[i]) / (1 - b1 ** t) / (Math.sqrt(v[i] / (1 - b2 ** t)) + eps);
      }
    },
  },
  // Adam with Nesterov's look-ahead: β₁m/(1−β₁ᵗ⁺¹) + (1−β₁)g/(1−β₁ᵗ) in place of m/(1−β₁ᵗ)
  nadam: {
    hyper: { learning_rate: 1e-3, b1: 0.9, b2: 0.999, eps: 1e-8 },
    step(w, g, { learning_rate: eta, b1, b2, eps }, state) {
      const [m, v] = [vector(state, "m", w.length), vector(state, "v", w.length)];
      const t = (state.t = (state.t ?? 0) + 1);
      for (let i = 0; i < w.length; i++) {
        m[i] = b1 * m[i] + (1 - b1) * g[i];
        v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2;
        const ahead = (b1 * m[i]) / (1 - b1 ** (t + 1)) + ((1 - b1) * g[i]) / (1 - b1 ** t);
        w[i] -= (eta * ahead) / (Math.sqrt(v[i] / (1 - b2 ** t)) + eps);
      }
    },
  },
};

// ---- Random numbers from a seed, the same in every browser ----

// Uniform numbers in [0, 1), by the generator "mulberry32" of 32 bits.
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// A normal number, by Box and Muller's method.
function gaussian(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
