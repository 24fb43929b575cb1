"""Commands on pages are those that make the same options again."""

import shlex
from pathlib import Path

import pytest
import tyro

from jaxnet.cli.compare import Compare
from jaxnet.cli.sweep import Sweep
from jaxnet.cli.train import Train
from jaxnet.cli.typed_command import command_of


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("train", Train()),
        ("train", Train(sizes=(64, 5, 10), cost="log-likelihood", l2=None, data="it's <mine>.npz",
                        tensorboard=True, hyper=("eps=1e-07",), learning_rate=1e-05)),
        ("sweep", Sweep(vary=("learning_rate=0.1,1", "l2=0,1"), select_by="cost")),
        ("compare", Compare(optimizers=("sgd",), quick=True, targets=(0.5, 0.75))),
    ],
)  # fmt: skip
def test_a_command_is_parsed_to_the_options_that_it_was_made_of(name, options):
    words = shlex.split(command_of(name, options))
    assert words[:2] == ["jaxnet", name]
    assert tyro.cli(type(options), args=words[2:]) == options


def test_what_is_about_one_call_is_left_out():
    both = Train(sizes=(64, 5, 10), hidden_sizes=(5,))
    assert command_of("train", both) == "jaxnet train --hidden-sizes 5"
    assert command_of("train", Train(resume=Path("runs/a"), wait=True)) == "jaxnet train"
    assert command_of("sweep", Sweep(folder=Path("a b"), watch=(8000,))) == "jaxnet sweep"
    assert command_of("compare", Compare(plot_only=True)) == "jaxnet compare"
