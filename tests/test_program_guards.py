"""Programs do not grow unnoticed: what eight calls compile and fetch, against committed numbers."""

import pytest
from guards import CALLS, VERSION, committed, measure, rises


@pytest.mark.slow
@pytest.mark.skipif(committed() is None, reason=f"there are no numbers for JAX {VERSION}")
@pytest.mark.parametrize("name", CALLS)
def test_nothing_rises_without_a_reason(name):
    assert rises(name, measure(name)) == []


@pytest.mark.skipif(committed() is None, reason=f"there are no numbers for JAX {VERSION}")
def test_a_rise_names_the_number_and_the_remedy():
    before = committed()["evaluate"]
    (sentence,) = rises("evaluate", before | {"operations": before["operations"] + 1, "flops": 0})
    assert "evaluate: operations rose from" in sentence
    assert "guards.py --update" in sentence
