import numpy as np
import pytest

from jaxnet.core.types import History
from jaxnet.reporting import plots

CURVE = np.linspace(0.8, 0.9, 10)


def test_the_curves_that_are_drawn_are_the_historys():
    figure = plots.curves(History(2 * CURVE, CURVE, 3 * CURVE, CURVE - 0.1), 7, "a title")
    cost, accuracy = figure.axes
    assert {line.get_label(): line.get_ydata()[0] for line in cost.lines} == {
        "validation": pytest.approx(1.6),
        "training": pytest.approx(2.4),
    }
    assert accuracy.lines[-1].get_xdata() == [7]  # the mark of the best epoch
    assert accuracy.lines[-1].get_label() == "best 86.67%, epoch 7"
    assert plots.png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("n", [0, 1, 3])
def test_what_was_not_monitored_is_left_out(n):
    nan = np.full(n, np.nan)
    figure = plots.curves(History(nan, nan, CURVE[:n], nan), n)
    cost, accuracy = figure.axes
    assert [line.get_label() for line in cost.lines] == (["training"] if n else [])
    assert list(accuracy.lines) == []
    assert plots.png(figure)
