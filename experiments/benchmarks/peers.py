"""The book's network in other libraries, as their documentation writes it, and in JAX by hand."""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxnet as jn
from benchmarks.contestants import BOOK, Contestant, first_examples


def single_networks(n: int) -> dict[str, Contestant]:
    """jaxnet's `train`, and what an expert would write in JAX: one network, and a `vmap` of it."""
    train = first_examples(n)
    data = jax.device_put(jn.Dataset(train))
    recipe = jn.Recipe(jn.sgd(0.5))

    def turn():
        return jn.train(BOOK, data, recipe, epochs=1, batch_size=10, evaluate_on=())

    scan = by_hand(train, None)
    vmapped = by_hand(train, jnp.geomspace(0.01, 0.1, 64))
    return {
        "jaxnet, train": Contestant(turn, BOOK, n),
        "JAX by hand, scan": Contestant(scan, BOOK, n),
        "JAX by hand, vmap of the scan, 64": Contestant(vmapped, BOOK, n, 64),
    }


def by_hand(data: jn.Split, rates: jax.Array | None) -> Callable[[], object]:
    """An epoch as one jitted `scan`, or a `vmap` of it over learning rates, one order for all."""
    xs, labels = jnp.asarray(data.x, jnp.float32) / 255, jax.nn.one_hot(data.y, 10)
    first_key, second_key = jax.random.split(jax.random.key(0), 2)

    def layer(key, n_in, n_out):
        return jax.random.normal(key, (n_in, n_out)) / n_in**0.5, jnp.zeros(n_out)

    params = [layer(first_key, 784, 30), layer(second_key, 30, 10)]

    def cost(params, x, y):
        (w1, b1), (w2, b2) = params
        z = jax.nn.sigmoid(x @ w1 + b1) @ w2 + b2
        return jnp.mean(jnp.sum(jnp.logaddexp(0, z) - y * z, axis=1))

    def epoch(params, rate, xs, ys, order):
        def step(params, rows):
            grads = jax.grad(cost)(params, xs[rows], ys[rows])
            return jax.tree.map(lambda p, g: p - rate * g, params, grads), None

        return jax.lax.scan(step, params, order.reshape(-1, 10))[0]

    @jax.jit
    def run(params, rate, xs, ys, key):
        order = jax.random.permutation(key, len(xs))
        train = epoch if rates is None else jax.vmap(epoch, (None, 0, None, None, None))
        return train(params, rate, xs, ys, order)

    rate = jnp.float32(0.5) if rates is None else rates
    return lambda: jax.block_until_ready(run(params, rate, xs, labels, first_key))


def peers(n: int) -> dict[str, Contestant]:
    """Other libraries, as their documentation writes a training loop."""
    train = first_examples(n)
    xs, ys = train.x / np.float32(255), train.y.astype(np.int64)
    contestants = {"NumPy, mini-batches": Contestant(in_numpy(xs, ys), BOOK, n)}
    for module, name, make_turn in (
        ("sklearn", "scikit-learn", in_sklearn),
        ("torch", "PyTorch", in_torch),
        ("flax", "Flax NNX", in_flax),
        ("equinox", "Equinox", in_equinox),
    ):
        if importlib.util.find_spec(module):
            contestants[name] = Contestant(make_turn(xs, ys), BOOK, n)
    return contestants


def batches(n: int):
    """A shuffled epoch's mini-batches of 10."""
    return np.random.default_rng(0).permutation(n).reshape(-1, 10)


def in_numpy(xs, ys):
    """One matrix product for each mini-batch and layer."""
    random = np.random.default_rng(0)
    targets = np.eye(10, dtype=np.float32)[ys]
    w1 = (random.normal(size=(784, 30)) / 28).astype(np.float32)
    w2 = (random.normal(size=(30, 10)) / 5.5).astype(np.float32)
    b1, b2 = np.zeros(30, np.float32), np.zeros(10, np.float32)
    rate = np.float32(0.05)

    def turn():
        for rows in batches(len(xs)):
            x, y = xs[rows], targets[rows]
            a1 = 1 / (1 + np.exp(-(x @ w1 + b1)))
            a2 = 1 / (1 + np.exp(-(a1 @ w2 + b2)))
            d2 = a2 - y
            d1 = d2 @ w2.T * a1 * (1 - a1)
            grads = (x.T @ d1, d1.sum(0), a1.T @ d2, d2.sum(0))
            for parameter, grad in zip((w1, b1, w2, b2), grads):
                parameter -= rate * grad

    return turn


def in_sklearn(xs, ys):
    """`MLPClassifier.partial_fit`, one pass over the data."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((30,), "logistic", solver="sgd", batch_size=10, momentum=0.0)  # pyright: ignore[reportArgumentType]
    return lambda: model.partial_fit(xs, ys, classes=np.arange(10))


def in_torch(xs, ys):
    """The tutorial's loop."""
    import torch  # pyright: ignore[reportMissingImports]

    layers = (torch.nn.Linear(784, 30), torch.nn.Sigmoid(), torch.nn.Linear(30, 10))
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    cost = torch.nn.CrossEntropyLoss()
    x_all, y_all = torch.from_numpy(xs), torch.from_numpy(ys)

    def turn():
        for rows in torch.from_numpy(batches(len(xs))):
            optimizer.zero_grad()
            cost(model(x_all[rows]), y_all[rows]).backward()
            optimizer.step()

    return turn


def in_flax(xs, ys):
    """Flax NNX: a module, `nnx.Optimizer`, a jitted train step."""
    import optax
    from flax import nnx  # pyright: ignore[reportMissingImports]

    class Model(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(784, 30, rngs=rngs)
            self.second = nnx.Linear(30, 10, rngs=rngs)

        def __call__(self, x):
            return self.second(nnx.sigmoid(self.first(x)))

    model = Model(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.5), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        def cost(model):
            return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

        optimizer.update(model, nnx.grad(cost)(model))

    def turn():
        for rows in batches(len(xs)):
            step(model, optimizer, xs[rows], ys[rows])
        jax.block_until_ready(nnx.state(model))

    return turn


def in_equinox(xs, ys):
    """Equinox: `eqx.nn.MLP`, `filter_grad`, a jitted step."""
    import equinox as eqx  # pyright: ignore[reportMissingImports]
    import optax

    model = eqx.nn.MLP(784, 10, 30, 1, jax.nn.sigmoid, key=jax.random.key(0))
    rule = optax.sgd(0.5)
    opt_state = rule.init(eqx.filter(model, eqx.is_array))

    @eqx.filter_jit
    def step(model, opt_state, x, y):
        def cost(model):
            logits = jax.vmap(model)(x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        updates, opt_state = rule.update(eqx.filter_grad(cost)(model), opt_state)
        return eqx.apply_updates(model, updates), opt_state

    def turn():
        nonlocal model, opt_state
        for rows in batches(len(xs)):
            model, opt_state = step(model, opt_state, xs[rows], ys[rows])  # pyright: ignore
        jax.block_until_ready(jax.tree.leaves(eqx.filter(model, eqx.is_array)))

    return turn
