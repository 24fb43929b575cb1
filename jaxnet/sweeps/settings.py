"""Settings of a sweep that differ in more than numbers: in widths, activations, optimizers, sizes.

A recipe with arrays is a sweep over numbers only. `Settings` holds recipes and, beside each, what
it changes in the network, the batch size and the number of examples. `grid`, `zipped` and `sample`
make them, and `sweep` takes them in place of recipes.
"""

import dataclasses
from collections.abc import Sequence

from jaxnet.core.activation import Activation
from jaxnet.core.arguments import require_kind
from jaxnet.core.hyperparameters import count, pytree, static
from jaxnet.core.network import Network
from jaxnet.recipes.augmentation import BatchRule
from jaxnet.recipes.optimizers import Optimizer
from jaxnet.recipes.recipe import Recipe
from jaxnet.recipes.schedules import Schedule
from jaxnet.recipes.stopping import Stopping

PARTS: dict[str, tuple[type, str]] = {
    "optimizer": (Optimizer, "jaxnet.sgd(0.5)"),
    "schedule": (Schedule, "jaxnet.schedules.cosine(30)"),
    "stopping": (Stopping, "jaxnet.stopping.no_improvement_in(10)"),
    "augmentation": (BatchRule, "jaxnet.Augmentation(shift=1)"),
}
"""The parts of a recipe that can be varied whole: their types, and an example of each."""
OF_THE_NETWORK = ("net", "widths", "activation")
OF_THE_DATA = ("batch_size", "examples")
CHOICES = (*OF_THE_NETWORK, *PARTS, *OF_THE_DATA)
"""What can be varied besides numbers."""


@pytree
class Variant:
    """Recipes, and what they change in the arguments of a sweep; `None` changes nothing."""

    recipe: Recipe
    """How to train; arrays stand for one setting per entry."""
    net: Network | None = static(default=None)
    """Another architecture."""
    widths: tuple[int, ...] | None = static(default=None)
    """Other hidden layers, of these widths."""
    activation: Activation | tuple[Activation, ...] | None = static(default=None)
    """Another activation of the hidden layers, or one for each."""
    batch_size: int | None = static(default=None)
    """Another number of examples per mini-batch."""
    examples: int | None = static(default=None)
    """Another number of training examples."""

    def network(self, net: Network) -> Network:
        """The architecture, changed as this variant says.

        Args:
          net: the architecture that the sweep was given.

        Returns:
          The changed architecture. With other widths, a network whose hidden layers all have one
          activation keeps it.

        Raises:
          ValueError: the activations of `net` differ, and do not fit the new widths.

        >>> from jaxnet.recipes.optimizers import sgd
        >>> Variant(Recipe(sgd(0.5)), widths=(8, 8)).network(Network((2, 3, 2))).sizes
        (2, 8, 8, 2)
        """
        net = net if self.net is None else self.net
        if self.widths is None and self.activation is None:
            return net
        hidden = net.hidden if self.activation is None else self.activation
        if self.widths is None:
            return dataclasses.replace(net, hidden=hidden)
        if isinstance(hidden, tuple) and len(hidden) != len(self.widths):
            if len(set(hidden)) != 1:
                raise ValueError(
                    f"the network has {len(hidden)} different activations, which do not fit the "
                    f"hidden widths {list(self.widths)}; vary activation with them."
                )
            hidden = hidden[0]
        sizes = (net.sizes[0], *self.widths, net.sizes[-1])
        return dataclasses.replace(net, sizes=sizes, hidden=hidden)


@pytree
class Settings:
    """Settings that `sweep` takes in place of recipes, as `grid`, `zipped` and `sample` make them.

    `len(settings)` is their number, and `a + b` has the settings of a and then those of b: so that
    each optimizer can have numbers of its own.

    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd(0.5))
    >>> settings = jn.grid(recipe, widths=[[4], [8, 8]], learning_rate=[0.1, 1.0])
    >>> settings += jn.grid(recipe, optimizer=[jn.adam()], b1=[0.8, 0.9, 0.95])
    >>> len(settings)
    7
    """

    variants: tuple[Variant, ...]
    """The settings, in order, neighbours that differ in numbers only in one recipe with arrays."""

    def __len__(self) -> int:
        return sum(len(variant.recipe) for variant in self.variants)

    def __repr__(self) -> str:
        values = {name: [getattr(variant, name) for variant in self.variants] for name in
                  ("net", "widths", "activation", "batch_size", "examples")}  # fmt: skip
        values["optimizer"] = [variant.recipe.optimizer.name for variant in self.variants]
        texts = {name: dict.fromkeys(map(str, own)) for name, own in values.items()}
        varied = [f"{name} {', '.join(own)}" for name, own in texts.items() if len(own) > 1]
        return f"Settings({len(self)} settings{'; ' * bool(varied)}{'; '.join(varied)})"

    def __add__(self, other: "Settings") -> "Settings":
        require_kind("other", other, Settings, "jaxnet.grid(recipe, widths=[[30], [60]])")
        return Settings(self.variants + other.variants)


def checked_choice(name: str, value: object) -> object:
    """One value of what is varied besides numbers, checked and in the form that `Variant` has.

    Args:
      name: one of `CHOICES`.
      value: such as `[30, 30]` or 30 for "widths".

    Returns:
      The value; widths as a tuple, several activations as a tuple.

    Raises:
      ValueError: it is of another kind, or below 1.

    >>> checked_choice("widths", [30, 10]), checked_choice("widths", 30)
    ((30, 10), (30,))
    """
    if name == "widths":
        widths = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        return tuple(count("widths", width, low=1) for width in widths)
    if name in OF_THE_DATA:
        return count(name, value, low=1)
    if name == "net":
        require_kind("net", value, Network, "jaxnet.Network((784, 30, 10))")
    elif name == "activation":
        activations = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        for activation in activations:
            require_kind("activation", activation, Activation, "jaxnet.activations.relu")
        return activations if isinstance(value, (list, tuple)) else value
    elif value is not None or name == "optimizer":
        require_kind(name, value, *PARTS[name])
    return value
