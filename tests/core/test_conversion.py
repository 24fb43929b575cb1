"""Every kind of array that people bring × every place that takes it.

Each cell gives the bits of the plain float32 inputs and int32 labels, or one sentence. In a plain
interpreter, since the shape checks of these tests would answer first.
"""

import json
import re
import subprocess
import sys

import pytest

# Of each kind: an expression of x (float32, of whole numbers from 0 to 8), y (labels 0 to 2) and n,
# their number; and what the error must say, or None where the result is that of x and y.
INPUTS = {
    "plain": ("x", None),
    "float16": ("x.astype(np.float16)", None),
    "bfloat16": ("x.astype(ml_dtypes.bfloat16)", None),
    "float64": ("x.astype(np.float64)", None),
    "big-endian": ("x.astype('>f4')", None),
    "big-endian float64": ("x.astype('>f8')", None),
    "longdouble": ("x.astype(np.longdouble)", None),
    "int8": ("x.astype(np.int8)", None),
    "int64": ("x.astype(np.int64)", None),
    "uint16": ("x.astype(np.uint16)", None),
    "big-endian int32": ("x.astype('>i4')", None),
    "int4": ("x.astype(ml_dtypes.uint4)", None),
    "list": ("x.tolist()", None),
    "tuples": ("tuple(map(tuple, x.astype(int).tolist()))", None),
    "list of arrays": ("list(x)", None),
    "DataFrame": ("pandas.DataFrame(x)", None),
    "DataFrame of mixed columns": (
        "pandas.DataFrame({0: x[:, 0].astype(int), 1: x[:, 1], 2: x[:, 2], 3: x[:, 3]})",
        None,
    ),
    "DataFrame of nullable integers": ("pandas.DataFrame(x).astype('Int64')", None),
    "object": ("x.astype(object)", None),
    "object of mixed numbers": ("np.where(x > 3, x.astype(int).astype(object), x)", None),
    "object of fractions": ("np.vectorize(fractions.Fraction, otypes=[object])(x)", None),
    "masked, nothing hidden": ("np.ma.MaskedArray(x)", None),
    "matrix": ("np.asmatrix(x)", None),
    "Fortran order": ("np.asfortranarray(x)", None),
    "every second row": ("np.repeat(x, 2, axis=0)[::2]", None),
    "negative strides": ("x[::-1, ::-1].copy()[::-1, ::-1]", None),
    "read-only": ("np.frombuffer(x.tobytes(), np.float32).reshape(x.shape)", None),
    "JAX array": ("jnp.asarray(x)", None),
    "JAX bfloat16": ("jnp.asarray(x, jnp.bfloat16)", None),
    "JAX int32": ("jnp.asarray(x, int)", None),
    "images": ("x.reshape(n, 2, 2, 1)", None),
    "list of images": ("x.reshape(n, 2, 2).tolist()", None),
    "sparse matrix": ("scipy.sparse.csr_matrix(x)", r"sparse .*\(12, 4\); pass its \.toarray\(\)"),
    "sparse array": ("scipy.sparse.coo_array(x)", r"sparse .*\(12, 4\); pass its \.toarray\(\)"),
    "sparse JAX array": ("BCOO.fromdense(x)", r"sparse .*\(12, 4\); pass its \.todense\(\)"),
    "hidden value": ("np.ma.MaskedArray(x, mask=x == x[2, 1])", "row 0.* of the inputs is masked"),
    "object with None": ("put(x.astype(object), None)", "row 2, column 1 of the inputs is None"),
    "missing integer": (
        "pandas.DataFrame(put(x.astype(object), pandas.NA)).astype('Int64')",
        "row 2, column 1 of the inputs is <NA>",
    ),
    "object with a string": ("put(x.astype(object), 'a')", "row 2, column 1 of the inputs is 'a'"),
    "strings": ("x.astype(str)", r"strings, such as '\d.0'; convert them to numbers"),
    "bytes": ("x.astype('S3')", "strings, such as .*; convert them to numbers"),
    "NumPy 2's strings": ("x.astype(np.dtypes.StringDType())", "strings, such as '.*; convert"),
    "complex": ("x + 1j", "inputs are complex64; use uint8 for pixels, or floats"),
    "dates": ("x.astype('M8[D]')", r"inputs are datetime64\[D\]; use uint8 for pixels, or flo"),
    "records": ("np.zeros(n, [('a', float), ('b', int)])", "inputs are .*; use uint8 for pixels"),
    "random keys": ("jax.random.split(jax.random.key(0), n)", "inputs are random keys"),
    "ragged": ("x[:-1].tolist() + [[1, 2, 3]]", "their rows have different lengths"),
    "ragged objects": (
        "np.array([[1, 2, 3, 4], [1, 2]] * 6, object)",
        r"entry 0 of the inputs is \[1, 2, 3, 4\]; give rows of equally many",
    ),
    "dict": ("{'x': x}", "inputs are a dict; give an array"),
    "generator": ("(row for row in x)", "inputs are a generator; give an array"),
    "None": ("None", "inputs are a NoneType; give an array"),
    "word": ("'x_train'", "inputs are the string 'x_train'"),
    "number": ("3.0", r"shape \(\)"),
    "zero-dimensional": ("np.array(x[0, 0])", r"shape \(\)"),
    "column alone": ("x[:, 0]", r"shape \(12,\)"),
    "other width": ("x[:, :3]", r"shape \(12, 3\)|inputs: 4 .training., 3 .validation.|, 3 .test."),
    "other images": (
        "np.zeros((n, 3, 3))",
        r"shape \(12, (3, 3|9)\)|4 .training., 9 .(valid|test)",
    ),
    "NaN": ("put(x, np.nan)", "row 2, column 1 of the inputs is nan; give finite"),
    "infinity": ("put(x.astype(np.float16), -np.inf)", "row 2, column 1 of the inputs is -inf"),
    "NaN in JAX": ("jnp.asarray(put(x, np.nan))", "row 2, column 1 of the inputs is nan"),
    "NaN in images": ("put(x, np.nan).reshape(n, 2, 2)", "row 2, column 1 of the inputs is nan"),
    "too large": (
        "put(x.astype(float), 1e39)",
        r"row 2, column 1 of the inputs is 1e\+39, which float32 cannot hold; use smaller",
    ),
    "too large, longdouble": (
        "put(x.astype(np.longdouble), np.longdouble(10) ** 4000)",
        "of the i",
    ),
    "a whole number beyond floats": ("put(x.astype(object), 10**400)", "beyond float64"),
}
TARGETS = {
    "plain": ("y", None),
    "int8": ("y.astype(np.int8)", None),
    "uint8": ("y.astype(np.uint8)", None),
    "uint64": ("y.astype(np.uint64)", None),
    "big-endian": ("y.astype('>i8')", None),
    "int4": ("y.astype(ml_dtypes.int4)", None),
    "list": ("y.tolist()", None),
    "Series": ("pandas.Series(y)", None),
    "nullable Series": ("pandas.Series(y, dtype='Int64')", None),
    "categories that are numbers": ("pandas.Categorical(y)", None),
    "object": ("y.astype(object)", None),
    "column": ("y[:, None]", None),
    "list of lists": ("y[:, None].tolist()", None),
    "DataFrame": ("pandas.DataFrame(y)", None),
    "JAX array": ("jnp.asarray(y)", None),
    "masked, nothing hidden": ("np.ma.MaskedArray(y)", None),
    "whole floats": ("y.astype(float)", None),
    "whole float16": ("y.astype(np.float16)", None),
    "whole bfloat16": ("jnp.asarray(y, jnp.bfloat16)", None),
    "column of whole floats": ("y.astype('>f4')[:, None]", None),
    "one-hot integers": ("np.eye(3, dtype=int)[y]", None),
    "one-hot booleans": ("np.eye(3, dtype=bool)[y]", None),
    "one-hot lists": ("np.eye(3, dtype=int)[y].tolist()", None),
    "from 1": ("y + 1", r"labels start at 1: pass y - 1, or choose sizes that end with 4"),
    "floats from 1": ("y + 1.0", r"labels start at 1: pass y - 1"),
    "negative": ("y - 1", r"row \d+ has the label -1.*; number the classes from 0: numpy.unique"),
    "too many": ("y * 2", r"row \d+ has the label 4\); choose sizes that end with 5"),
    "strings": ("np.array(list('abc'))[y]", r"classes, y = numpy.unique\(y, return_inverse=True"),
    "object strings": (
        "np.array(['cat', 'dog', 'emu'], object)[y]",
        r"entry 0 of the targets is '\w+'; number the classes: classes, y = numpy.unique",
    ),
    "categories": ("pandas.Categorical(np.array(['b', 'c', 'd'])[y])", "numpy.unique"),
    "hidden value": ("np.ma.MaskedArray(y, mask=y == y[0])", "entry 0 of the targets is masked"),
    "sparse": ("scipy.sparse.csr_matrix(np.eye(3)[y])", r"pass its \.toarray"),
    "broken floats": (
        "y + 0.5",
        r"targets .*shape \(12, 1\)(, but the network's 3 outp|; give all)",
    ),
    "NaN": ("np.where(y == y[3], np.nan, y)", r"row \d of the targets is nan"),
    "NaN in rows": ("put(np.eye(3)[y], np.nan)", "row 2, column 1 of the targets is nan"),
    "infinity in rows": ("put(np.eye(3)[y], np.inf)", "row 2, column 1 of the targets is inf"),
    "several classes": (
        "np.eye(3, dtype=int)[y] + np.eye(3, dtype=int)[0]",
        r"is 2, but CrossEntropy\(\) takes targets in \[0, 1\]|class labels, but .* are floats",
    ),
    "one too few": ("y[:-1]", r"12 inputs(, but| and) 11 targets"),
    "three dimensions": ("y.reshape(n, 1, 1)", r"targets have shape \(12, 1, 1\)"),
    "zero-dimensional": ("y[0]", r"targets have shape \(\)"),
    "dates": ("y.astype('M8[D]')", r"targets are datetime64\[D\]"),
    "None": ("None", "targets are a NoneType"),
    "dict": ("dict(enumerate(y))", "targets are a dict"),
    "nothing": ("[]", r"12 inputs(, but| and) 0 targets"),
    "huge": ("y.astype(np.uint64) * 2**40", r"row \d+ has the label \d{10,}"),
}
# A function of a network, its parameters, the plain split and the one that is tried.
PLACES = {
    "arrays": "evaluated(jn.datasets.arrays(*tried[:2]).train)",
    "arrays, validation": "evaluated(jn.datasets.arrays(*plain[:2], valid=tried).valid)",
    "arrays, test": "evaluated(jn.datasets.arrays(*plain[:2], test=tried).test)",
    "train": "trained(jn.Dataset(tried))",
    "train, validation": "trained(jn.Dataset(plain, tried))",
    "train, test": "trained(jn.Dataset(plain, None, tried))",
    "evaluate": "tuple(jn.evaluate(net, params, tried))",
    "confusion": "jn.confusion(net, params, tried)",
    "predict": "jn.predict(net, params, tried.x)",
    "logits": "jn.logits(net, params, tried.x)",
}

SCRIPT = """
import fractions, json, sys, warnings
import jax, jax.numpy as jnp, ml_dtypes, numpy as np, pandas, scipy.sparse
from jax.experimental.sparse import BCOO
import jaxnet as jn
warnings.simplefilter("ignore")
random = np.random.default_rng(0)
n, net = 12, jn.Network((4, 3))
x, y = random.integers(9, size=(n, 4)).astype(np.float32), np.int32(random.permutation(n) % 3)
x[2, 1], x[0, 1] = 8, 8
params = jn.init(net, jax.random.key(0))
def put(array, value):
    array = array.copy()
    array[2, 1] = value
    return array
def evaluated(split):
    return [*jn.evaluate(net, params, split), jn.confusion(net, params, split)]
def trained(data):
    run = jn.train(net, data, jn.Recipe(jn.sgd(0.1)), epochs=1)
    return jax.tree.leaves((run.params, run.history))
inputs, targets, places = json.load(sys.stdin)
names = dict(x=x, y=y, n=n)
plain = jn.Split(x, y)
def outcome(place, split):
    scope = globals() | dict(tried=split, plain=plain)
    try:
        return jax.tree.map(np.asarray, eval(place, scope))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
expected = {place: outcome(code, plain) for place, code in places.items()}
outcomes = {}
for part, kinds in (("x", inputs), ("y", targets)):
    for kind, (code, _) in kinds.items():
        row = outcomes[f"{part}: {kind}"] = {}
        for place in places:
            split = jn.Split(x, y)._replace(**{part: eval(code)})
            result = outcome(places[place], split)
            if not isinstance(result, str):
                bits, expected_bits = (
                    [array.tobytes() for array in jax.tree.leaves(tree)]
                    for tree in (result, expected[place])
                )
                result = "the same" if bits == expected_bits else f"other numbers: {result}"
            row[place] = result
json.dump(outcomes, sys.stdout)
"""


@pytest.fixture(scope="module")
def outcomes():
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([INPUTS, TARGETS, PLACES]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(process.stdout)


KINDS = {f"x: {kind}": message for kind, (_, message) in INPUTS.items()}
KINDS |= {f"y: {kind}": message for kind, (_, message) in TARGETS.items()}


ARRAY_PLACES = [place for place in PLACES if "arrays" in place]
ONLY_ARRAYS_TAKES = {
    "x: sparse matrix": ARRAY_PLACES,
    "x: sparse array": ARRAY_PLACES,
    "y: strings": ["arrays"],
    "y: object strings": ["arrays"],
    "y: categories": ["arrays"],
}
"""Kinds that `datasets.arrays` converts, and no other place: it warns, or keeps names."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_place_gives_the_plain_result_or_one_sentence(kind, outcomes):
    assert set(outcomes[kind]) == set(PLACES)
    for place, outcome in outcomes[kind].items():
        is_taken = KINDS[kind] is None or place in ONLY_ARRAYS_TAKES.get(kind, ())
        without_targets = place in ("predict", "logits")
        if is_taken or (without_targets and kind.startswith("y: ")):
            assert outcome == "the same", place
        elif kind == "x: column alone" and without_targets:
            assert re.search("x has shape .12,., but the network takes", outcome)
        else:
            assert outcome.startswith("ValueError: "), (place, outcome)
            assert "\n" not in outcome
            assert outcome.endswith(".")
            assert re.search(KINDS[kind], outcome), (place, outcome)
