"""Open the study of a folder without training."""

import time
from pathlib import Path

import jax

from jaxnet.core.arguments import path_of, require_kind
from jaxnet.core.checks import check_data
from jaxnet.core.dtypes import computing_in
from jaxnet.core.types import Dataset
from jaxnet.data import datasets
from jaxnet.io import reading
from jaxnet.io.reading import JsonObject
from jaxnet.sweeps.call_file import REMEDY, SweepCall, read_call
from jaxnet.sweeps.ledger import Ledger
from jaxnet.sweeps.planning import predict_plan
from jaxnet.sweeps.store import Folder
from jaxnet.sweeps.study import Study


def open_study(folder: str | Path, data: Dataset | None = None) -> Study:
    """The study of the last call of `sweep` with a folder, read without training anything.

    Settings are rebuilt from their names and numbers in the folder. Networks that the sweep has not
    trained yet are missing, as after Ctrl-C.

    Args:
      folder: the folder.
      data: the data of the study, which `Study.replay` needs, and `Study.evaluate` with the name of
        a split. `None`, the default, opens the study without them.

    Returns:
      The study that the call returned.

    Raises:
      ValueError: the folder holds no study, or one of other data; or one of a user's own functions,
        of given initial parameters or masks, or of an older version of jaxnet, which the same call
        of `sweep` opens, since it trains nothing that the folder holds.

    >>> import tempfile
    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
    ...                      seeds=3, epochs=2, folder=folder, log=None)
    ...     again = jn.open_study(folder)
    ...     bool((again.score == study.score).all()), again.best_params()[0].w.shape
    (True, (2, 3, 2, 4))
    """
    start_time, path = time.perf_counter(), path_of("folder", folder)
    if data is not None:
        require_kind("data", data, Dataset, "jaxnet.datasets.mnist()")
    if not (path / "study.json").exists():
        raise ValueError(f"folder {path} holds no study; name the folder of a sweep.")
    description = reading.read_json(path / "study.json", "the study.json of a sweep", REMEDY)
    dtype = description.get("dtype")
    if dtype not in ("float32", "float64"):
        raise ValueError(
            f"{path / 'study.json'} has the type {dtype!r}, not float32 or float64; {REMEDY}."
        )
    with computing_in(dtype):
        call = read_call(path)
        loaded = None if data is None else _checked_data(data, call, description)
        folder_of_chunks = Folder(path, description)
        ledger = Ledger(call.settings, call.seeds, folder_of_chunks, call.measured, call.folds)
        plan = predict_plan((), ledger.lane_scores.size, call.epochs, 0, jax.devices()[:1], False)
        evaluates_test = "test" in call.measured.evaluate_on
        return ledger.study(
            epochs=max(call.epochs, ledger.most_epochs()),
            dropped_lanes=call.dropped_lanes,
            plan=plan,
            seconds=time.perf_counter() - start_time,
            data=loaded if loaded is None or evaluates_test else loaded._replace(test=None),
            test=None if loaded is None else loaded.test,
            order=call.order,
            dtype=dtype,
        )


def _checked_data(data: Dataset, call: SweepCall, description: JsonObject) -> Dataset:
    """The splits, checked to be those of the study."""
    loaded = check_data(call.settings[0].network, data)
    evaluates_test = "test" in call.measured.evaluate_on
    evaluated = loaded if evaluates_test else loaded._replace(test=None)
    if datasets.sha256(evaluated) != description.get("data"):
        raise ValueError(
            "data are not those that the study was trained on (their SHA-256 differs); give those, "
            "or leave data out."
        )
    return loaded
