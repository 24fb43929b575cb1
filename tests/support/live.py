"""A sweep that is going on, for its live page, without training: made of arrays."""

import numpy as np

import jaxnet as jn
from jaxnet.cli.live_status import Heading
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.score_curves import ScoreCurves
from jaxnet.sweeps.store import Setting

HEADING = Heading(
    "jaxnet sweep",
    (
        "[784, 30, 10] sigmoid, CrossEntropy(), batch 10; Recipe(optimizer=sgd(learning_rate=0.5))",
        "mnist: 50,000 training, 10,000 validation, 10,000 test examples; validated on the last "
        "10,000 examples of MNIST's training file, as in the book; cpu, jax 0.10.2",
    ),
    ("learning_rate", "l2"),
)


def report_after(epoch: int, n_epochs: int = 30, n_settings: int = 12, **changes) -> SweepReport:
    """The report of a sweep with four seeds after an epoch; 0 is before the first."""
    net = jn.Network((784, 30, 10))
    settings = tuple(
        Setting(net, jn.Recipe(jn.sgd(0.1 * (k + 1)), l2=float(k % 3)), 10, 50_000)
        for k in range(n_settings)
    )
    values = np.full((n_settings, 4, n_epochs), np.nan, np.float32)
    random, epochs = np.random.default_rng(0), np.arange(1, n_epochs + 1)
    levels = 0.90 + 0.006 * np.arange(n_settings)[::-1, None] + 0.004 * random.random((1, 4))
    rates = 1 - np.exp(-epochs / (2 + random.random((n_settings, 1, 1))))
    values[..., :epoch] = (levels[..., None] * (0.6 + 0.4 * rates))[..., :epoch]
    curves = ScoreCurves(settings, values, None, "evaluation_accuracy" if epoch else "")
    n_lanes = 4 * n_settings
    report = SweepReport(
        lanes=n_lanes, done=n_lanes * (epoch == n_epochs), training=n_lanes, diverged=0,
        best=float(np.nanmax(values)) if epoch else -np.inf, trained=n_lanes * epoch,
        total=n_lanes * n_epochs, seconds=4.0 + epoch, planned=40.0, first_epoch=4.0 * (epoch > 0),
        curves=curves,
    )  # fmt: skip
    return report._replace(**changes)
