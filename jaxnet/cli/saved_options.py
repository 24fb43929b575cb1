"""Saved options: those of a run, for `train --resume`, and of a study, for `sweep --folder`."""

import dataclasses
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from jaxnet.cli import sweep
from jaxnet.cli.data_options import DATA_SETS
from jaxnet.cli.options import RENAMED_OPTIONS
from jaxnet.cli.sweep import Sweep
from jaxnet.cli.train import OPTIONS_OF_A_CALL, Train
from jaxnet.io import reading
from jaxnet.training import checkpoints

CHANGEABLE = ("epochs", "time_budget", "checkpoint_every", "tensorboard", *OPTIONS_OF_A_CALL)
"""The options that may differ when a run goes on: none of them changes what an epoch learns."""

OF_A_STUDY = (
    "data", "target", "task", "drop", "categories", "groups", "class_weight", "order", "metrics",
    "select_by", "evaluate_training",
)  # fmt: skip
"""The options that all calls for the folder of a study share: data, and what is measured."""

LATER_OPTIONS: dict[str, Any] = {
    "cost_hyper": (),
    "metrics": (),
    "order": "shuffled",
    "class_weight": (),
    "hidden_sizes": (),
    "target": "",
    "task": None,
    "drop": (),
    "categories": (),
    "groups": "",
    "folds": None,
}
"""Options that a run's file may lack, as it was begun before they existed, and their defaults."""


def resumed_options(folder: Path, args: Sequence[str]) -> Train:
    """The options of a run that goes on.

    Args:
      folder: the folder of the run.
      args: the options of the call that resumes it.

    Returns:
      The options that the run began with, with those of the call that may differ.

    Raises:
      ValueError: config.json does not hold the options of a run, or an option of the call would
        make it another run; the message names the file or the option.
    """
    _check_is_run(folder)
    before = run_options(folder)
    # An option that was not typed stays as it was, so that one that differs was typed.
    now = tyro.cli(Train, prog="jaxnet train", args=args, default=before)
    for field in dataclasses.fields(Train):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if (
            old == new
            or field.name in CHANGEABLE
            or (field.name == "data" and _may_move(folder, old, new))
        ):
            continue
        raise ValueError(
            f"--{field.name.replace('_', '-')} was {_text(old)} and is {_text(new)}: that would be "
            "another run; a resumed one may have more --epochs, another --time-budget or "
            "--checkpoint-every, --tensorboard, and its --data in another place."
        )
    if now.data not in DATA_SETS and not Path(now.data).exists():
        raise ValueError(
            f"the run's data, {now.data}, does not exist; name its new place with --data."
        )
    return now


def resumed_sweep(folder: Path | None, args: Sequence[str]) -> Sweep | None:
    """The options of a sweep that goes on in the folder of an earlier one.

    Args:
      folder: the folder; `None` for a new one.
      args: the options of the call.

    Returns:
      The options of the earlier sweep with those of the call; `None` if there is no earlier one, or
      if its options were not kept, as by a call in Python.

    Raises:
      ValueError: the file of the options is damaged, or an option of the call would make it another
        study; the message names the file or the option.
    """
    path = None if folder is None else folder.expanduser() / sweep.OPTIONS_FILE
    if path is None or not path.exists():
        return None
    before = reading.read_content(path, "the options of a sweep", _saved_sweep)
    now = tyro.cli(Sweep, prog="jaxnet sweep", args=args, default=before)
    for name in OF_A_STUDY:
        old, new = getattr(before, name), getattr(now, name)
        may_move = name == "data" and not {old, new} & set(DATA_SETS)  # study.json knows the data
        if old != new and not may_move:
            raise ValueError(
                f"--{name.replace('_', '-')} of the study in {folder} was {_text(old)} and is "
                f"{_text(new)}: that would be another study; leave it out, or name another folder."
            )
    if now.data not in DATA_SETS and not Path(now.data).exists():
        raise ValueError(
            f"the study's data, {now.data}, does not exist; name its new place with --data."
        )
    if now.sizes != before.sizes and now.hidden_sizes == before.hidden_sizes:
        return dataclasses.replace(now, hidden_sizes=())
    if now.hidden_sizes != before.hidden_sizes and now.sizes == before.sizes:
        return dataclasses.replace(now, sizes=())
    return now


def run_options(folder: Path) -> Train:
    """The options that a run began with.

    Args:
      folder: the folder of the run.

    Raises:
      ValueError: config.json does not hold the options of a run.
    """
    return reading.read_content(folder / "config.json", "the config.json of a run", _saved_options)


def data_of_run(folder: Path) -> str | None:
    """The value of --data that a run began with.

    Args:
      folder: a folder with a network.

    Returns:
      The name or the path; `None` if the folder has no config.json of a run.

    Raises:
      ValueError: config.json is damaged.
    """
    path = folder / "config.json"
    if not path.exists():
        return None
    settings = reading.read_json(path, "the config.json of a run").get("settings")
    data = settings.get("data") if isinstance(settings, dict) else None
    return data if isinstance(data, str) else None


def _check_is_run(folder: Path) -> None:
    """Raise a ValueError for a folder that is none, or holds no run."""
    remedy = "name the folder of a run, such as runs/TIME-NAME"
    if not folder.is_dir():
        raise ValueError(f"cannot resume from {folder}: there is no such folder; {remedy}.")
    if (folder / "config.json").exists():
        return
    runs = sorted(folder.glob("*/config.json"), key=lambda path: path.stat().st_mtime)
    if runs:
        raise ValueError(
            f"{folder} is a folder of runs; name one of them to resume, such as the newest, "
            f"{runs[-1].parent}."
        )
    raise ValueError(
        f"{folder} holds nothing to resume: it has no config.json, as after a kill before a run "
        f"began; start a new run, or {remedy}."
    )


def _may_move(folder: Path, old: str, new: str) -> bool:
    """Whether data may have another path: a checkpoint tells whether it is the same data."""
    return (folder / checkpoints.FILE).exists() and not {old, new} & set(DATA_SETS)


def _text(value: object) -> str:
    """An option's value as it stands in a message."""
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def _saved_options(content: bytes) -> Train:
    """The options in the content of a run's config.json; errors are bare reasons."""
    document = reading.json_object(content)
    reading.check_types(document, {"settings": dict})
    options = Train(**_checked(Train, document["settings"], OPTIONS_OF_A_CALL))
    if not options.sizes or options.cost is None:
        raise ValueError("its settings lack the sizes or the cost of the network")
    options.full_network()  # what these refuse is the file's fault, not this command's
    options.recipe()
    return options


def _saved_sweep(content: bytes) -> Sweep:
    """The options in the content of a study's file of options; errors are bare reasons."""
    document = reading.json_object(content)
    reading.check_types(document, {"settings": dict})
    return Sweep(**_checked(Sweep, document["settings"], sweep.OPTIONS_OF_A_CALL))


def _checked(
    command: type[Train] | type[Sweep], settings: dict[str, Any], of_a_call: Sequence[str]
) -> dict[str, Any]:
    """The values of all saved options by name, of the options' own types."""
    settings = {RENAMED_OPTIONS.get(name, name): value for name, value in settings.items()}
    if "stop_at" not in settings and not isinstance(settings.get("target", ""), str):
        settings["stop_at"] = settings.pop("target")  # as it was called, before tables had one
    hints = get_type_hints(command)
    names = [field.name for field in dataclasses.fields(command)]
    wanted = [name for name in names if name not in of_a_call]
    settings = {name: value for name, value in LATER_OPTIONS.items() if name in wanted} | settings
    if missing := [name for name in wanted if name not in settings]:
        raise ValueError(f"its settings lack {missing[0]}")
    if unknown := [name for name in settings if name not in wanted]:
        raise ValueError(
            f"{unknown[0]!r} is not an option of this version, whose options are "
            f"{', '.join(wanted)}"
        )
    return {name: _value(name, settings[name], hints[name]) for name in wanted}


def _value(name: str, value: Any, hint: Any) -> Any:
    """A value of JSON as an option's type has it."""
    kind, args = get_origin(hint), get_args(hint)
    if kind in (Union, types.UnionType):  # of a type and None
        return None if value is None else _value(name, value, args[0])
    if kind is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(name, item, args[0]) for item in value)
    if kind is Literal:
        if isinstance(value, str) and value in args:
            return value
        raise ValueError(f"{name} is {value!r}, and known are {', '.join(args)}")
    if hint in (str, Path) and isinstance(value, str):
        return hint(value)
    if hint is bool and isinstance(value, bool):
        return value
    if hint in (int, float) and isinstance(value, int | hint) and not isinstance(value, bool):
        return hint(value)
    wanted = "a list" if kind is tuple else _TYPE_NAMES[hint]
    raise ValueError(f"{name} is {value!r}, and must be {wanted}")


_TYPE_NAMES = {
    str: "a string",
    Path: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
