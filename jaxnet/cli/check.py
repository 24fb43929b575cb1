"""`jaxnet check`: check the handwritten gradient of a network."""

import dataclasses

from rich.console import Console

from jaxnet.cli import console, fitted_tables
from jaxnet.cli.options import Architecture, FailedError
from jaxnet.core import gradient_check
from jaxnet.core.hyperparameters import count
from jaxnet.core.network import Network

ALL_UP_TO = 25_000
"""The most parameters of a network that is compared with finite differences in all of them; of a
larger one so many entries are compared that it takes as long, but at least these:"""
LEAST_DIFFERENCES = 20
"""The fewest entries of each array that are compared with finite differences."""


@dataclasses.dataclass(frozen=True)
class Check(Architecture):
    """Check the handwritten gradient of a network against autodiff and finite differences."""

    seed: int = 0
    """Seed of the random weights and examples."""

    def __call__(self, out: Console) -> None:
        """Check and print the table."""
        net, seed = self.network(), count("seed", self.seed, low=0)
        n_differences = _affordable_differences(net)
        if n_differences is not None:
            console.say(
                out,
                f"{net.n_params:,} parameters: finite differences for {n_differences} random "
                "entries of each layer's weights and biases, autodiff for all.",
            )
        try:
            checks = gradient_check.check_gradients(net, seed=seed, n_differences=n_differences)
        except gradient_check.GradientError as error:
            raise FailedError(str(error)) from None
        out.print(fitted_tables.checks_table(out, net, checks))
        console.say(
            out,
            f"All relative errors are within {gradient_check.AUTODIFF_TOLERANCE:.0e} and "
            f"{gradient_check.NUMERICAL_TOLERANCE:.0e}: the gradient is right.",
        )


def _affordable_differences(net: Network) -> int | None:
    """How many entries of each array to compare with finite differences; None for all."""
    if net.n_params <= ALL_UP_TO:
        return None
    # Each difference takes a time that grows with the number of all parameters.
    n_arrays = 2 * (len(net.sizes) - 1)
    return max(LEAST_DIFFERENCES, ALL_UP_TO**2 // net.n_params // n_arrays)
