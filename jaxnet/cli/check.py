"""`jaxnet check`: check the handwritten gradient of a network."""

import dataclasses

from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.options import Architecture, FailedError
from jaxnet.core import gradient_check
from jaxnet.core.hyperparameters import count


@dataclasses.dataclass(frozen=True)
class Check(Architecture):
    """Check the handwritten gradient of a network against autodiff and finite differences."""

    seed: int = 0
    """Seed of the random weights and examples."""

    def __call__(self, out: Console) -> None:
        """Check and print the table."""
        net = self.network()
        try:
            checks = gradient_check.check_gradients(net, seed=count("seed", self.seed, low=0))
        except gradient_check.GradientError as error:
            raise FailedError(str(error)) from None
        out.print(console.checks_table(net, checks))
        console.say(
            out,
            f"All relative errors are within {gradient_check.AUTODIFF_TOLERANCE:.0e} and "
            f"{gradient_check.NUMERICAL_TOLERANCE:.0e}: the gradient is right.",
        )
