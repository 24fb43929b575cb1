"""The book's network2 in plain NumPy, one example at a time: an independent reference.

Written from the equations of Nielsen's chapters 2 and 3, for sigmoid layers.
"""

import json

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy(a, y):
    return float(np.sum(-y * np.log(a) - (1 - y) * np.log(1 - a)))


def quadratic(a, y):
    return float(0.5 * np.sum((a - y) ** 2))


COSTS = {
    "CrossEntropyCost": (cross_entropy, lambda z, a, y: a - y),
    "QuadraticCost": (quadratic, lambda z, a, y: (a - y) * sigmoid(z) * (1 - sigmoid(z))),
}


class Network2:
    """`weights[l]` is (n_out, n_in), `biases[l]` is (n_out, 1), as in network2's files."""

    def __init__(self, weights, biases, cost="CrossEntropyCost"):
        self.weights = [np.array(w, float) for w in weights]
        self.biases = [np.array(b, float) for b in biases]
        self.cost = cost

    @classmethod
    def load(cls, path):
        with open(path) as file:
            document = json.load(file)
        if document["cost"] not in COSTS:
            raise AttributeError(document["cost"])
        assert [w.shape[1] for w in map(np.array, document["weights"])] == document["sizes"][:-1]
        return cls(document["weights"], document["biases"], document["cost"])

    def save(self, path):
        sizes = [self.weights[0].shape[1], *(len(b) for b in self.biases)]
        document = {
            "sizes": sizes,
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": self.cost,
        }
        with open(path, "w") as file:
            json.dump(document, file)

    def feedforward(self, a):
        for w, b in zip(self.weights, self.biases, strict=True):
            a = sigmoid(w @ a + b)
        return a

    def backprop(self, x, y):
        activations, zs = [x], []
        for w, b in zip(self.weights, self.biases, strict=True):
            zs.append(w @ activations[-1] + b)
            activations.append(sigmoid(zs[-1]))
        delta = COSTS[self.cost][1](zs[-1], activations[-1], y)
        grads = [(delta @ activations[-2].T, delta)]
        for layer in range(len(self.weights) - 2, -1, -1):
            slope = sigmoid(zs[layer]) * (1 - sigmoid(zs[layer]))
            delta = (self.weights[layer + 1].T @ delta) * slope
            grads.insert(0, (delta @ activations[layer].T, delta))
        return grads

    def train_epoch(self, xs, ys, order, batch_size, eta, n, l2=0.0, l1=0.0):
        """xs: columns (n_in, 1); ys: columns (n_out, 1)."""
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            sums = [[np.zeros_like(w), np.zeros_like(b)] for w, b in zip(self.weights, self.biases)]
            for index in batch:
                for total, grad in zip(sums, self.backprop(xs[index], ys[index])):
                    total[0] += grad[0]
                    total[1] += grad[1]
            for layer, (grad_w, grad_b) in enumerate(sums):
                w = self.weights[layer]
                penalty = l2 / n * w + l1 / n * np.sign(w)
                self.weights[layer] = w - eta * (grad_w / len(batch) + penalty)
                self.biases[layer] = self.biases[layer] - eta * grad_b / len(batch)

    def total_cost(self, xs, ys, l2=0.0, l1=0.0):
        cost = np.mean(
            [COSTS[self.cost][0](self.feedforward(x), y) for x, y in zip(xs, ys, strict=True)]
        )
        squares = sum(np.sum(w**2) for w in self.weights)
        absolutes = sum(np.sum(np.abs(w)) for w in self.weights)
        return cost + l2 / (2 * len(xs)) * squares + l1 / len(xs) * absolutes

    def accuracy(self, xs, labels):
        hits = [np.argmax(self.feedforward(x)) == y for x, y in zip(xs, labels, strict=True)]
        return float(np.mean(hits))
