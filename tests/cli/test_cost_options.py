"""--cost, --output, --temperature and --cost-hyper."""

import pytest

from jaxnet.cli.options import TAKE_OUTPUT, Architecture, cost_function
from jaxnet.core import activations, costs


@pytest.mark.parametrize("name", costs.NAMED)
def test_every_cost_is_known_by_its_name(name):
    assert Architecture(cost=name).network().cost == costs.NAMED[name]()


def test_costs_take_their_numbers_and_outputs():
    huber = Architecture(cost="huber", output="tanh", cost_hyper=("threshold=0.5",))
    assert huber.network().cost == costs.Huber(activations.tanh, 0.5)
    focal = Architecture(cost="focal", cost_hyper=("gamma=1",))
    assert focal.network().cost == costs.Focal(1.0)
    warm = Architecture(cost="log-likelihood", temperature=2.0)
    assert warm.network().cost == costs.LogLikelihood(2.0)


def test_the_costs_that_take_an_output_are_named():
    takers = [name for name, cost in costs.NAMED.items() if "output" in cost.__dataclass_fields__]
    assert all(name in TAKE_OUTPUT for name in takers)
    assert TAKE_OUTPUT.count(",") + 2 == len(takers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("poisson", "linear"), "poisson takes no --output, since its outputs are exponential;"),
        (("focal", "linear"), "focal takes no --output, since its outputs are softmax;"),
        (("huber", None, 2.0), "huber takes no --temperature; log-likelihood does"),
        (("huber", None, None, ["gamma=1"]), "huber takes no gamma; its numbers are threshold"),
        (("poisson", None, None, ["gamma=1"]), "poisson takes no gamma; its numbers are none"),
        (("huber", None, None, ["output=1"]), "huber takes no output; its numbers are threshold"),
        (("log-likelihood", None, 2.0, ["temperature=1"]), "by --temperature; give it once"),
        (("huber", None, None, ["threshold=0"]), "threshold must be a positive number, not 0"),
    ],
)
def test_other_numbers_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cost_function(*arguments)
