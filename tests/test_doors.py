"""What a person gets who passes something of the wrong type: one clear sentence.

In a plain interpreter, since the shape checks of these tests would answer first.
"""

import json
import re
import subprocess
import sys

import pytest

# An expression, and what its error must say.
CASES = {
    "jn.Network('ab')": "sizes must be two or more positive whole numbers.*not 'ab'",
    "jn.Network(7)": "sizes must be two or more positive whole numbers.*not 7",
    "jn.Network((3, 2.5))": "sizes must be two or more positive whole numbers",
    "jn.Network((3, None))": "sizes must be two or more positive whole numbers",
    "jn.Network((2, 3, 1), hidden='relu')": "hidden must be an Activation such as",
    "jn.Network((2, 3, 1), cost='quadratic')": "cost must be a Cost such as",
    "jn.Network((2, 3, 1), precision='double')": "precision must be .*not 'double'",
    "jn.Recipe(0.5)": "optimizer must be an Optimizer such as jaxnet.sgd.*not 0.5",
    "jn.Recipe(jn.sgd(0.5), l2='much')": r"l2 must be a number in \[0, inf\), not 'much'",
    "jn.sgd('fast')": "learning_rate must be a number .*not 'fast'",
    "jn.train(net, data, recipe, epochs=2.5)": "epochs must be a whole number of at least 1",
    "jn.train(net, data, recipe, epochs=0)": "epochs must be a whole number of at least 1, not 0",
    "jn.train(net, data, recipe, batch_size='all')": "batch_size must be a whole number",
    "jn.train(net, data, recipe, batch_size=201)": r"batch_size must be in \[1, 200\]",
    "jn.train(net, data, recipe, seed=-1)": r"seed must be a whole number in \[0, 4294967296\)",
    "jn.train(net, data, recipe, seed=0.5)": "seed must be a whole number",
    "jn.train(net, data, recipe, monitor='training')": "monitor must be a tuple of",
    "jn.train(net, data, recipe, monitor=('test',))": "monitor must be a tuple of",
    "jn.train(net, data, jn.Recipe(jn.sgd([1, 2])))": "train takes scalars",
    "jn.train(jn.Network((3, 2)), data, recipe)": "network's 3 inputs need .n, 3.; choose sizes",
    "jn.train(jn.Network((2, 3)), jn.datasets.spirals(n_classes=5), recipe)": "lie in .0, 4.",
    "jn.train(jn.Network((1, 3)), jn.datasets.function(abs), recipe)": "3 outputs need",
}

SCRIPT = """
import json, sys
import jaxnet as jn
net, data, recipe = jn.Network((2, 2)), jn.datasets.xor(), jn.Recipe(jn.sgd(0.5))
said = {}
for case in json.load(sys.stdin):
    try:
        eval(case)
        said[case] = "nothing"
    except Exception as error:
        said[case] = f"{type(error).__name__}: {error}"
assert jn.Network([2, 1]) == jn.Network((2, 1)) and hash(jn.Network([2, 1]))
assert jn.Network([2, 3, 1], [jn.activations.relu]).hidden == jn.activations.relu
json.dump(said, sys.stdout)
"""


@pytest.fixture(scope="module")
def said():
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(list(CASES)),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_is_wrong(case, said):
    assert said[case].startswith("ValueError: ")
    assert "\n" not in said[case]
    assert re.search(CASES[case], said[case])
