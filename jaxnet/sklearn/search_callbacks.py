"""Scikit-learn's callbacks in a search, where the installed version has them (from 1.9 on)."""

import contextlib
from collections.abc import Iterator
from typing import Any


class SearchCallbacks:
    """Tells a search's callbacks what begins and ends.

    Args:
      search: the search, a scikit-learn estimator.
      X: its inputs.
      y: its targets.
      sample_weight: its examples' weights, or `None`.
      n_fits: the number of scored fits, or `None` if it is not known.
    """

    def __init__(self, search: Any, X: Any, y: Any, sample_weight: Any, n_fits: int | None) -> None:
        self.search, self.root, self.fits = search, None, None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": search, "X": X, "y": y, "metadata": metadata}
        if hasattr(search, "_init_callback_context"):
            root = search._init_callback_context(max_subtasks=1 + (search.refit is not False))
            self.root = root.call_on_fit_task_begin(**self.arguments)
            self.fits = self.root.subcontext(task_name="search", max_subtasks=n_fits)
            self.fits.call_on_fit_task_begin(**self.arguments)

    @contextlib.contextmanager
    def fit(self) -> Iterator[None]:
        """A context in which a fit of a candidate is scored."""
        if self.fits is None:
            yield
            return
        context = self.fits.subcontext(task_name="candidate-split-evaluation")
        context.call_on_fit_task_begin(**self.arguments)
        yield
        context.call_on_fit_task_end(**self.arguments)

    def end_fits(self) -> None:
        """Say that all candidates were fitted."""
        if self.fits is not None:
            self.fits.call_on_fit_task_end(**self.arguments)

    @contextlib.contextmanager
    def refit(self, estimator: Any) -> Iterator[None]:
        """A context in which the best candidate is fitted.

        Args:
          estimator: the candidate, which gets the callbacks if it takes any.
        """
        if self.root is None:
            yield
            return
        context = self.root.subcontext(task_name="refit-with-best-params")
        takes_callbacks = hasattr(estimator, "set_callbacks")
        with contextlib.ExitStack() as stack:
            if takes_callbacks:
                stack.enter_context(context.propagate_callback_context(estimator))
            context.call_on_fit_task_begin(**self.arguments)
            yield
        context.call_on_fit_task_end(**self.arguments)

    def end(self) -> None:
        """Say that the search has ended."""
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.arguments)
