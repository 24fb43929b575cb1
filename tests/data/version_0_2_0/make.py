"""Write the files of this folder. Run under version 0.2.0, and only there:

    PYTHONPATH=CLONE_OF_0_2_0 python make.py [FOLDER]

They are what that version left on people's disks: later versions must read them, go on from them
to the numbers in `expected.json`, or refuse them in words. Everything is tiny and in float32,
trained with XLA's usual optimizations on one CPU device.

    xor.npz              the data of all runs, `datasets.xor(n=40)`
    run/                 checkpoint after 2 of 4 epochs: adam, l2, dropout, cosine, patience
    run_plain/           checkpoint after 2 of 4 epochs: sgd alone
    run_monitored/       checkpoint after 2 of 4 epochs: momentum, staircase, halving, monitors
    run_plateau/         the same, with a rule that looks at the accuracy in place of the cost
    network.*            a network in both formats: LeakyRelu(slope=0.1), Quadratic(linear)
    network_softmax.*    another: two hidden layers, LogLikelihood(temperature=2)
    network_sigmoid.json a third, in network2's own format
    study/               of `sweep`: 2 learning rates x 2 seeds, 2 epochs; to go on to 3
    comparison/          of `compare`, finished; without the Parquet copies of its tables
    cli_run/             of `jaxnet train`, 2 of 4 epochs; without curves.png
    expected.json        the numbers: with 17 digits, to be met within "rtol"
"""

import os

for name in ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS", "JAX_ENABLE_X64"):
    os.environ.pop(name, None)  # as people have it

import contextlib
import dataclasses
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxnet as jn
from jaxnet import cli

assert jn.__version__ == "0.2.0", jn.__version__

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent).resolve()
WRITTEN = (
    "run", "run_plain", "run_monitored", "run_plateau", "study", "comparison", "cli_run", "xor.npz",
    "network.json", "network.safetensors", "network_softmax.json", "network_softmax.safetensors",
    "network_sigmoid.json", "expected.json",
)  # fmt: skip
NET = jn.Network((2, 4, 2))
FIRST, ALL = 2, 4
MONITORS = jn.Monitors(("delta_norm", "update_ratio"), every=2)
RECIPES = {
    "run": jn.Recipe(
        jn.adam(0.1),
        l2=0.1,
        dropout=0.1,
        schedule=jn.schedules.cosine(ALL),
        stopping=jn.stopping.no_improvement_in(3),
    ),
    "run_plain": jn.Recipe(jn.sgd(1.0)),
    "run_monitored": jn.Recipe(
        jn.momentum(0.5, decay=0.8),
        l1=0.01,
        label_smoothing=0.05,
        schedule=jn.schedules.staircase(0.5, every=2),
        stopping=jn.stopping.halving(1, metric="cost"),
        init_scale=1.5,
    ),
}
RECIPES["run_plateau"] = dataclasses.replace(
    RECIPES["run_monitored"], stopping=jn.stopping.halving(1)
)
ADVICE = {name: None if name in ("run", "run_plain") else MONITORS for name in RECIPES}


def plain(value: Any) -> Any:
    """Arrays and named tuples as JSON's types; a NaN as None."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (str, int, bool, type(None))):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "f":
        listed = array.astype(float).tolist()
        nans = lambda x: [*map(nans, x)] if isinstance(x, list) else None if x != x else x
        return nans(listed)
    return array.tolist()


def told(run: jn.Run) -> dict[str, Any]:
    return {
        "epochs": len(run.history.training_cost),
        "history": plain(run.history),
        "params": plain(run.params),
        "best_epoch": run.best_epoch,
        "best_params": plain(run.best_params),
        "monitors": plain(run.monitors),
        "ending": run.ending,
        "stopped": run.stopped,
    }


def same(a: Any, b: Any) -> bool:
    return json.dumps(plain(a)) == json.dumps(plain(b))


def write_runs(data: jn.Dataset) -> dict[str, Any]:
    """Checkpoints in mid-run, and the runs that never stopped."""
    found = {}
    for name, recipe in RECIPES.items():
        settings = {"batch_size": 10, "seed": 3, "monitors": ADVICE[name]}
        part = jn.train(NET, data, recipe, epochs=FIRST, checkpoint=OUT / name, **settings)
        whole = jn.train(NET, data, recipe, epochs=ALL, **settings)
        assert len(whole.history.training_cost) == ALL, whole.stopped
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(OUT / name, copy, dirs_exist_ok=True)
            resumed = jn.train(NET, data, recipe, epochs=ALL, resume=copy, **settings)
        assert same(told(resumed), told(whole))
        found[name] = {
            "recipe": repr(recipe),
            "monitors": repr(ADVICE[name]),
            **{key: settings[key] for key in ("batch_size", "seed")},
            "written_after": told(part),
            "uninterrupted": told(whole),
        }
    return found


def write_networks(data: jn.Dataset) -> dict[str, Any]:
    """Networks, with their parameters and what they say to the first five test inputs."""
    act = jn.activations
    nets = {
        "network": jn.Network(
            (2, 3, 1),
            act.LeakyRelu(slope=0.1),
            jn.costs.Quadratic(output=act.linear),
            jn.initializers.truncated(0.5),
        ),
        "network_softmax": jn.Network(
            (2, 3, 4, 2),
            (act.Elu(alpha=0.5), act.gelu),
            jn.costs.LogLikelihood(temperature=2.0),
            jn.initializers.he,
            "high",
        ),
        "network_sigmoid": jn.Network((2, 3, 2)),
    }
    found = {}
    for seed, (name, net) in enumerate(nets.items()):
        params = jn.init(net, jax.random.key(seed))
        files = [f"{name}.json"] + [f"{name}.safetensors"] * (name != "network_sigmoid")
        for file in files:
            jn.save(OUT / file, net, params)
        x = data.test.x[:5]
        found[name] = {
            "files": files,
            "network": repr(net),
            "init": repr(net.init) if name == "network" else net.init.__name__,
            "precision": net.precision,
            "params": plain(params),
            "x": plain(x),
            "predicted": plain(jn.predict(net, params, x)),
        }
    return found


def write_study(data: jn.Dataset) -> dict[str, Any]:
    """A study of two epochs, and what it has come to after a third."""

    def swept(folder: Path | None, epochs: int) -> jn.Study:
        recipe = jn.Recipe(jn.momentum(np.array([0.5, 1.0]), decay=0.5), l2=0.1)
        return jn.sweep(
            NET, data, recipe, seeds=2, epochs=epochs, batch_size=10, folder=folder, say=None
        )

    def of(study: jn.Study) -> dict[str, Any]:
        lanes = list(np.ndindex(study.epochs.shape))
        return {
            "history": plain(study.history),
            "epochs": plain(study.epochs),
            "best_epoch": plain(study.best_epoch),
            "diverged_epoch": plain(study.diverged_epoch),
            "stopped": plain(study.stopped),
            "params": {f"{r},{s}": plain(study.params(r, s)) for r, s in lanes},
        }

    two = of(swept(OUT / "study", 2))
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(OUT / "study", copy, dirs_exist_ok=True)
        three = of(swept(Path(copy), 3))
    assert same(three, of(swept(None, 3)))
    return {
        "call": "sweep(Network((2, 4, 2)), data, Recipe(momentum([0.5, 1.0], decay=0.5), l2=0.1), "
        "seeds=2, epochs=2, batch_size=10)",
        "two_epochs": two,
        "three_epochs": three,
    }


def write_comparison(data: jn.Dataset) -> dict[str, Any]:
    """A comparison, finished. Its folder goes on to the same files: tried here in a copy."""

    def compared(folder: Path) -> jn.Comparison:
        return jn.compare(
            NET, data, [jn.sgd, jn.adam], tier="defaults", epochs=2, seeds=8, tuning_seeds=1,
            timing=False, folder=folder, say=None,
        )  # fmt: skip

    folder = OUT / "comparison"
    found = compared(folder)
    for file in folder.glob("*.parquet"):
        file.unlink()
    again = jn.comparison.read(folder)
    assert again.conclusion == found.conclusion
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        compared(Path(copy))
        for file in folder.iterdir():
            assert file.is_dir() or file.read_bytes() == (Path(copy) / file.name).read_bytes()
    tables = ("runs", "curves", "summary", "pairwise", "time_to_target", "divergence", "luck",
              "usual_study")  # fmt: skip
    return {
        "call": "compare(Network((2, 4, 2)), data, [sgd, adam], tier='defaults', epochs=2, "
        "seeds=8, tuning_seeds=1, timing=False)",
        "conclusion": again.conclusion,
        "warnings": again.warnings,
        "summary": plain(again.summary),
        "pairwise": plain(again.pairwise),
        "rows": {name: len(getattr(again, name)) for name in tables},
    }


def write_cli() -> dict[str, Any]:
    """A run of the command line, two of four epochs; the other two in a copy."""

    def called(*args: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert cli.main(args) == 0, args
        return said.getvalue()

    def known(folder: Path) -> dict[str, Any]:
        return {
            "history_csv": (folder / "history.csv").read_text(),
            "confusion_csv": (folder / "confusion.csv").read_text(),
            "monitors_csv": (folder / "monitors.csv").read_text(),
            "results": json.loads((folder / "config.json").read_bytes())["results"],
        }

    call = (
        "train --data xor.npz --sizes 2 4 2 --optimizer momentum --learning-rate 0.5 --l2 0.1 "
        "--dropout 0.1 --schedule cosine --horizon 4 --patience 3 --measure delta_norm "
        "--epochs 2 --seed 3 --runs ."
    )
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        try:
            shutil.copy(OUT / "xor.npz", ".")
            called(*call.split())
            (folder,) = Path().glob("*-2-4-2")
            folder.rename("cli_run")
            for picture in Path("cli_run").glob("*.png"):
                picture.unlink()
            shutil.copytree("cli_run", OUT / "cli_run")
            two = known(Path("cli_run"))
            called("train", "--resume", "cli_run", "--epochs", "4")
            four = known(Path("cli_run"))
            four_at_once = call.replace("--epochs 2", "--epochs 4").split()
            called(*four_at_once, "--name", "whole")
            (whole,) = Path().glob("*-whole")
            assert known(whole) == four
        finally:
            os.chdir(here)
    return {"call": f"jaxnet {call}", "two_epochs": two, "four_epochs": four}


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for name in WRITTEN:
        path = OUT / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    xor = jn.datasets.xor(n=40)
    arrays = zip(("train", "valid", "test"), xor, strict=True)
    np.savez(
        OUT / "xor.npz", **{f"{a}_{name}": getattr(s, a) for name, s in arrays for a in ("x", "y")}
    )
    data = jn.datasets.npz(OUT / "xor.npz")
    assert jn.datasets.sha256(data) == jn.datasets.sha256(xor)
    found = {
        "written_by": jn.__version__,
        "jax": jax.__version__,
        "rtol": 1e-4,
        "data_sha256": jn.datasets.sha256(data),
        **write_runs(data),
        "networks": write_networks(data),
        "study": write_study(data),
        "comparison": write_comparison(data),
        "cli_run": write_cli(),
    }
    (OUT / "expected.json").write_text(json.dumps(found, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
