"""jaxnet: feed-forward networks as pure functions over parameter pytrees in JAX.

The gradient is handwritten backpropagation, checked against `jax.grad` and finite differences;
whole training runs compile with `jit`. Packages, from the ground up; each imports only those
before it: `core` (networks and backpropagation), `io` (files), `data`, `recipes` (optimizers and
all else that says how to train), `acceleration`, `training`, `sweeps` (many networks at once),
`searches` (good hyperparameters), `comparison` (which optimizer is better), `reporting` (pictures
and pages), `integrations` (networks for other tools), `book` (the programs of Nielsen's book),
`cli`.

The names are imported, and JAX with them, when the first of them is used: until then the command
line can say what Ctrl-C does.
"""

from typing import TYPE_CHECKING

__version__ = "0.3.0"

if TYPE_CHECKING:
    from jaxnet._api import *  # noqa: F403
    from jaxnet._api import __all__ as __all__
    from jaxnet._api import pages as pages
    from jaxnet._api import plots as plots
else:

    def __getattr__(name: str) -> object:
        """A package or module; or a public name, which is imported together with all others."""
        import importlib.util

        if name.startswith("_") and name != "__all__":
            raise AttributeError(f"module 'jaxnet' has no attribute {name!r}", name=name)
        if importlib.util.find_spec(f"jaxnet.{name}") is not None:
            return importlib.import_module(f"jaxnet.{name}")
        api = importlib.import_module("jaxnet._api")
        globals().update({public: getattr(api, public) for public in api.__all__})
        return getattr(api, name)

    def __dir__() -> list[str]:
        """The public names, those that are not imported yet included."""
        return sorted({*globals(), *__getattr__("__all__"), "pages", "plots"})
