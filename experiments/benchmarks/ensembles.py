"""Ensembles of the book's network on one device: the marginal epoch, three epochs minus one.

By hand in JAX, a `vmap` of a scan over an epoch; in PyTorch, `vmap` of `grad` over stacked
parameters, one call a mini-batch, as its tutorial on model ensembling writes it. Both have one
order of the examples for all networks. On a GPU, PyTorch's runs there, too.
"""

import importlib.util
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from benchmarks.contestants import BOOK, first_examples, operations

BATCH = 10
Turn = Callable[[int], object]
"""Trains the ensemble for a number of epochs."""


def jaxnet_sweep(n: int, networks: int, rule: str) -> Turn:
    """`jaxnet.sweep` over learning rates, without evaluation."""
    make = {"SGD": jn.sgd, "Adam": jn.adam}[rule]
    data, recipe = jn.Dataset(first_examples(n)), jn.Recipe(make(_rates(networks, rule)))
    return lambda epochs: jn.sweep(
        BOOK, data, recipe, seeds=1, epochs=epochs, batch_size=BATCH, evaluate_on=(), log=None
    )


def vmap_of_scan(n: int, networks: int, rule: str) -> Turn:
    """What an expert writes in JAX: `jit`, `vmap` over learning rates, `scan` over mini-batches."""
    xs, ys = _images(n)
    xs, ys = jnp.asarray(xs), jnp.asarray(ys)

    def cost(params, x, y):
        (w1, b1), (w2, b2) = params
        z = jax.nn.sigmoid(x @ w1 + b1) @ w2 + b2
        return jnp.mean(jnp.sum(jnp.logaddexp(0, z) - y * z, axis=1))

    def step(rate, carry, rows):
        params, m, v, count = carry
        grads = jax.grad(cost)(params, xs[rows], ys[rows])
        if rule == "SGD":
            params = jax.tree.map(lambda p, g: p - rate * g, params, grads)
            return (params, m, v, count), None
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        count += 1
        scale = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        params = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v) + 1e-8), params, m, v)
        return (params, m, v, count), None

    @jax.jit
    def epoch(carry, key, rates):
        order = jax.random.permutation(key, n).reshape(-1, BATCH)

        def one_network(carry, rate):
            return jax.lax.scan(lambda c, rows: step(rate, c, rows), carry, order)[0]

        return jax.vmap(one_network)(carry, rates)

    rates = jnp.asarray(_rates(networks, rule), jnp.float32)

    def turn(epochs: int) -> None:
        keys = jax.random.split(jax.random.key(0), 2)
        params = [
            (jax.random.normal(key, (networks, n_in, n_out)) / n_in**0.5,
             jnp.zeros((networks, n_out)))
            for key, n_in, n_out in zip(keys, BOOK.sizes, BOOK.sizes[1:])
        ]  # fmt: skip
        zeros = jax.tree.map(jnp.zeros_like, params)
        moments = (None, None) if rule == "SGD" else (zeros, zeros)
        carry = (params, *moments, jnp.zeros(networks))
        for number in range(epochs):
            carry = epoch(carry, jax.random.key(number), rates)
        jax.block_until_ready(carry)

    return turn


def torch_func(n: int, networks: int, rule: str) -> Turn:
    """PyTorch's `torch.func`: `vmap(grad(cost))` over stacked parameters, updates in place."""
    import torch  # pyright: ignore[reportMissingImports]

    device = "cuda" if torch.cuda.is_available() else "cpu"
    xs, ys = (torch.from_numpy(array).to(device) for array in _images(n))
    rates = torch.from_numpy(_rates(networks, rule).astype(np.float32)).to(device)

    def cost(params, x, y):
        w1, b1, w2, b2 = params
        z = torch.sigmoid(x @ w1 + b1) @ w2 + b2
        return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(x)

    gradient = torch.func.vmap(torch.func.grad(cost), (0, None, None))

    def step(params, moments, count, x, y):
        for place, grad in enumerate(gradient(tuple(params), x, y)):
            rate = rates.view(-1, *[1] * (grad.dim() - 1))
            if rule == "SGD":
                params[place] -= rate * grad
                continue
            m, v = moments[place]
            m.mul_(0.9).add_(grad, alpha=0.1)
            v.mul_(0.999).addcmul_(grad, grad, value=0.001)
            scale = (1 - 0.999**count) ** 0.5 / (1 - 0.9**count)
            params[place] -= rate * scale * m / (v.sqrt() + 1e-8)

    def turn(epochs: int) -> None:
        params = []
        for n_in, n_out in zip(BOOK.sizes, BOOK.sizes[1:]):
            params += [torch.randn(networks, n_in, n_out, device=device) / n_in**0.5,
                       torch.zeros(networks, n_out, device=device)]  # fmt: skip
        moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in params]
        count = 0
        for _ in range(epochs):
            for rows in torch.randperm(n, device=device).view(-1, BATCH):
                count += 1
                step(params, moments, count, xs[rows], ys[rows])
        if device == "cuda":
            torch.cuda.synchronize()

    return turn


def _rates(networks: int, rule: str) -> np.ndarray:
    return np.geomspace(0.01, 0.1, networks) * (0.1 if rule == "Adam" else 1.0)


def _images(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs in [0, 1] and one-hot targets."""
    train = first_examples(n)
    x, y = np.asarray(train.x), np.asarray(train.y)
    return x.astype(np.float32) / 255, np.eye(10, dtype=np.float32)[y]


COLUMNS = {
    "contestant": "contestant",
    "networks": "networks",
    "ms an epoch and network": "marginal_epoch_ms_a_network",
    "networks·epochs/s": "networks_epochs_a_second",
    "TFLOP/s": "useful_tflops",
    "ms a call and network": "call_ms_a_network",
}


def run(n: int, networks: int, rounds: int) -> list[dict]:
    """The marginal epoch and the cost of a call, for SGD and Adam, in turns."""
    makers = {"jaxnet, sweep": jaxnet_sweep, "JAX by hand, vmap of a scan": vmap_of_scan}
    if importlib.util.find_spec("torch"):
        makers["PyTorch, torch.func"] = torch_func
    turns = {
        f"{name}, {rule}": make(n, networks, rule)
        for rule in ("SGD", "Adam")
        for name, make in makers.items()
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
    for round_number in range(rounds + 1):
        for name, turn in turns.items():
            pair = _seconds(turn, 1), _seconds(turn, 3)
            if round_number > 0:
                seconds[name].append(pair)
    return [_row(name, np.array(pairs), n, networks) for name, pairs in seconds.items()]


def _seconds(turn: Turn, epochs: int) -> float:
    began = time.perf_counter()
    turn(epochs)
    return time.perf_counter() - began


def _row(name: str, pairs: np.ndarray, n: int, networks: int) -> dict:
    """A contestant's row; an epoch counts 50,000 examples, as in the other tables."""
    epoch = float(np.median(pairs[:, 1] - pairs[:, 0])) / 2
    call = float(np.median(pairs[:, 0])) - epoch
    full = epoch * 50_000 / n
    return {
        "contestant": name,
        "networks": networks,
        "marginal_epoch_ms_a_network": 1000 * full / networks,
        "networks_epochs_a_second": networks / full,
        "useful_tflops": operations(BOOK) * n * networks / epoch / 1e12,
        "call_ms_a_network": 1000 * call / networks,
    }
