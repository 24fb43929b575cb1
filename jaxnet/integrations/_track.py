"""`track`: the networks of a study or a comparison, each as a run of a tracker."""

import tempfile
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxnet.comparison import Comparison
from jaxnet.core.arguments import brief, require_kind
from jaxnet.core.types import Params
from jaxnet.data import datasets
from jaxnet.integrations.tracking import (
    Curves,
    OpenStudy,
    Tracker,
    best_numbers,
    html_file,
    key_of,
    network_file,
    succeeds,
)
from jaxnet.io import csv
from jaxnet.io.csv import Row
from jaxnet.io.reading import JsonObject
from jaxnet.sweeps.ensemble import Ensemble, Member
from jaxnet.sweeps.store import Lane
from jaxnet.sweeps.study import Study
from jaxnet.sweeps.study_networks import StudyNetworks
from jaxnet.training.run import Ending

N_AT_ONCE = 256
"""Networks whose parameters are in memory at the same time."""


class TrackedNetwork(NamedTuple):
    """A network of a study or comparison, as a tracker writes it."""

    key: str
    name: str
    parameters: JsonObject
    curves: Curves
    ending: Ending
    results: Mapping[str, float | str]
    member: Member | None
    """The network of the best epoch; `None` if it diverged, or is not kept."""


def track(results: Study | Comparison, tracker: Tracker) -> int:
    """Write every network of a study or comparison as a run of its own, under a common parent.

    A network's run has its settings, the curves, which equal `Study.history`, how it ended, its
    best epoch and score, and in MLflow and W&B the network's file, which `jaxnet.load` reads (one
    of a fold with standardized inputs is an `Ensemble` of one network). The parent has the best
    setting and a page with the leaderboard. In TensorBoard there is no parent, but a folder for
    each network. A `Comparison` has kept no networks, so that there are no files of them.

    The same call goes on where an earlier one ended: a network whose run is finished is left out,
    one that was only begun is written anew, and so is one that has been trained for longer since.
    Networks of an interrupted sweep follow when they are trained to the end. If the tool fails,
    there is one warning, and the call ends.

    Args:
      results: what `sweep`, `open_study` or `compare` returned; of a cross-validation or search,
        its `study`.
      tracker: where to write: `jaxnet.callbacks.mlflow`, `wandb` or `tensorboard`. Studies of the
        same data and tracker's name share a parent.

    Returns:
      How many runs of networks were written.

    Raises:
      ValueError: the arguments are of other types.

    Warns:
      UserWarning: the tool failed.

    >>> import tempfile
    >>> import jaxnet as jn
    >>> recipe = jn.Recipe(jn.sgd([0.1, 1.0]))
    >>> study = jn.sweep(jn.Network((2, 4, 2)), jn.datasets.xor(), recipe,
    ...                  seeds=3, epochs=2, log=None)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = jn.callbacks.tensorboard(folder)
    ...     jn.track(study, tracker), jn.track(study, tracker)
    (6, 0)
    """
    require_kind("tracker", tracker, Tracker, 'jaxnet.callbacks.tensorboard("runs")')
    if not isinstance(results, Study | Comparison):
        raise ValueError(
            "results must be a study or a comparison, such as those of jaxnet.sweep and "
            f"jaxnet.compare, not {brief(results)}."
        )
    names: list[str] = []
    consequence = "the same call goes on from there"
    succeeds(tracker.tool, lambda: _write_all(results, tracker, names), consequence)
    return len(names)


def _write_all(results: Study | Comparison, tracker: Tracker, names: list[str]) -> None:
    """Write what is not written yet, and add the names of these networks to a list."""
    if isinstance(results, Study):
        parent = tracker.tool.study(key_of("study", _data_sha256(results)), "study")
        networks = _networks_of_study(results, parent.finished)
    else:
        key = key_of("comparison", results.manifest.get("data_sha256"))
        parent = tracker.tool.study(key, "comparison")
        networks = _networks_of_comparison(results, parent.finished)
    for network in networks:
        _write(parent, network)
        names.append(network.name)
    _end(parent, results)


def _write(parent: OpenStudy, network: TrackedNetwork) -> None:
    """Write the run of a network."""
    run = parent.network(network.key, network.name, network.parameters)
    run.log(1, network.curves)
    with tempfile.TemporaryDirectory() as folder:
        member, files = network.member, []
        if member is not None and member.shift is None:
            files = network_file(Path(folder), member.network, member.params)
        elif member is not None:
            files = [Path(folder, "network.safetensors")]
            Ensemble((member,)).save(files[0])
        run.end(network.ending, network.results, files)


def _end(parent: OpenStudy, results: Study | Comparison) -> None:
    """Write what the networks have in common."""
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(results, Study):
            table, name = results.leaderboard(), "study"
            numbers = {"networks": float(results.epochs.size), "seconds": results.seconds}
            numbers["best_score"] = float(results.score[results.best_recipe].mean())
            words = {"ranked_by": results.ranked_by}
        else:
            table, name = results.summary, "comparison"
            numbers = {"networks": float(len(results.runs))}
            words = {"conclusion": " ".join(results.conclusion)}
        path = Path(folder, "leaderboard.csv")
        path.write_bytes(csv.encode_rows(table))
        files = [path, *html_file(Path(folder, f"{name}.html"), results)]
        parent.end("done", numbers | words, files)


def _data_sha256(study: Study) -> str:
    """The SHA-256 of the study's data; empty if nothing says it."""
    if study.source.data is not None:
        return datasets.sha256(study.source.data)
    folder = study.source.folder
    return "" if folder is None else str(folder.description.get("data"))


def _networks_of_study(study: Study, finished: Mapping[str, int]) -> Iterator[TrackedNetwork]:
    """The networks of a study that are trained to the end, without those written already."""
    networks = StudyNetworks(study.settings, study.seeds, study.epochs, study.source)
    curves = {name: np.asarray(curve) for name, curve in study.history.curves.items()}
    for name, measured in study.history.monitors.items():
        means = np.asarray(measured).mean(axis=-2)
        curves |= {f"{name}/layer_{k + 1}": means[..., k] for k in range(means.shape[-1])}
    evaluated = {name: curve for name, curve in curves.items() if not np.isnan(curve).all()}
    lanes_by_network: dict[Hashable, list[tuple[Lane, str]]] = {}
    for lane, (index, row) in sorted(study.source.row_by_lane.items()):
        key = key_of(study.source.records[index].lanes[row], sorted(evaluated), study.source.order)
        places = networks.places(lane)
        is_written = finished.get(key, -1) >= study.epochs[places]
        if study.ending(*places) != "interrupted" and not is_written:
            lanes_by_network.setdefault(study.settings[lane[0]].network, []).append((lane, key))
    for lanes in lanes_by_network.values():
        for begin in range(0, len(lanes), N_AT_ONCE):
            part = lanes[begin : begin + N_AT_ONCE]
            members = _members(networks, [lane for lane, _ in part])
            for (lane, key), member in zip(part, members, strict=True):
                yield _tracked(study, networks.places(lane), key, evaluated, member)


def _members(networks: StudyNetworks, lanes: list[Lane]) -> Iterator[Member]:
    """The networks of the best epochs, of lanes of one architecture."""
    params = networks.params_of(lanes, "best")
    for row, lane in enumerate(lanes):
        own: Params = tuple(type(layer)(*(array[row] for array in layer)) for layer in params)
        fold = networks.fold(lane)
        standardization = () if fold is None else (fold.shift, fold.scale)
        yield Member(networks.settings[lane[0]].network, own, *standardization)


def _tracked(
    study: Study, places: tuple[int, ...], key: str, curves: Curves, member: Member
) -> TrackedNetwork:
    """A network of a study, as a tracker writes it."""
    recipe, seed_place, *fold = places
    seed, n_epochs = int(study.seeds[seed_place]), int(study.epochs[places])
    has_diverged = bool(study.diverged_epoch[places])
    own = {name: curve[places][:n_epochs] for name, curve in curves.items()}
    results: dict[str, float | str] = {"ending": study.ending(*places)}
    results |= best_numbers(own, int(study.best_epoch[places]))
    if not has_diverged:
        results["score"] = float(study.score[places])
    return TrackedNetwork(
        key=key,
        name="-".join(["recipe", str(recipe), "seed", str(seed), *(f"fold-{k}" for k in fold)]),
        parameters=study.settings[recipe].columns()
        | {"recipe": recipe, "seed": seed}
        | ({"fold": fold[0]} if fold else {}),
        curves=own,
        ending=study.ending(*places),
        results=results,
        member=None if has_diverged else member,
    )


def _networks_of_comparison(
    comparison: Comparison, finished: Mapping[str, int]
) -> Iterator[TrackedNetwork]:
    """The networks of a comparison, without those written already."""
    names = ("phase", "optimizer", "trial", "seed")
    curves: dict[tuple, list[Row]] = {}
    for row in comparison.curves:
        curves.setdefault(tuple(row[name] for name in names), []).append(row)
    n_epochs = comparison.manifest["protocol"]["epochs"]
    for row in comparison.runs:
        place = tuple(row[name] for name in names)
        own = {
            name: np.array([epoch[name] for epoch in curves.get(place, [])], float)
            for name in ("valid_cost", "valid_score")
        }
        settings = {name: x for name, x in row.items() if not name.startswith(_RESULTS)}
        key = key_of([(name, settings[name]) for name in sorted(settings)], n_epochs)
        if key not in finished:
            results = {name: float(row[name]) for name in row if name.startswith(_RESULTS)}
            ending: Ending = "diverged" if row["diverged_epoch"] else "done"
            name = "-".join(map(str, place))
            words = {"ending": ending}
            yield TrackedNetwork(key, name, settings, own, ending, results | words, None)


_RESULTS = ("valid_", "test_", "diverged_")
"""How the names of the columns begin that are results of a run."""
