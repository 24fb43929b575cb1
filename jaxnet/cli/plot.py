"""`jaxnet plot`: the pictures of a run, a sweep or a comparison, drawn again."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.saved_options import run_options
from jaxnet.core.registry import suggestion
from jaxnet.io import files

FormatName = Literal["svg", "pdf", "png"]
RESULTS = ("history.csv", "study.json", "manifest.json", "aggregates.csv")
"""The files by which folders of runs, sweeps, comparisons and those on several tasks are known."""


@dataclasses.dataclass(frozen=True)
class Plot:
    """Draw the pictures of a run, a sweep or a comparison again, without training anything.

    Kinds: curves and monitors of a run; sweep, parallel and heat_map of a sweep; of a comparison
    sensitivity, curves, strips, differences, expected_performance, time_to_target, search and
    tuning_bands; of one on several tasks score_profiles, critical_difference and profile.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """The folder of a run, a sweep or a comparison, or a folder of several: its newest."""
    kind: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KIND", help_behavior_hint="")] = ()
    """Kinds of pictures (all)."""
    format: FormatName = "svg"
    """Format of the files."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE|FOLDER", help_behavior_hint="")] = (
        None
    )
    """File of one picture, whose suffix is the format, or folder for all (that of the run)."""

    def __call__(self, out: Console) -> None:
        """Draw and write."""
        # Imported here, since matplotlib's figures take 0.3 s, which other commands need not.
        from jaxnet.reporting import pictures, plots

        folder = _folder_with_results(self.folder)
        title = ""
        if (folder / "history.csv").exists() and (folder / "config.json").exists():
            options = run_options(folder)
            net, recipe = options.full_network(), options.recipe()
            title = plots.run_title(net, recipe, options.batch_size, options.seed)
        drawings = pictures.figures_of(folder, title)
        for kind in self.kind:
            if kind not in drawings:
                raise ValueError(
                    f"{folder} has no picture of the kind {kind!r}; {suggestion(kind, drawings)}"
                )
        kinds = self.kind or tuple(drawings)
        paths = self._paths(kinds, folder)
        for kind, path in zip(kinds, paths, strict=True):
            content = plots.rendered(drawings[kind](), path.suffix[1:].lower())
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(path, content)
        if folder != self.folder:
            console.say(out, f"The newest in {self.folder} is drawn: {folder}/")
        console.say(out, f"Written: {', '.join(map(str, paths))}")

    def _paths(self, kinds: tuple[str, ...], folder: Path) -> list[Path]:
        """The files to write, one for each kind."""
        if self.output is None or not self.output.suffix:
            return [(self.output or folder) / f"{kind}.{self.format}" for kind in kinds]
        if self.output.suffix.lower() not in (".svg", ".pdf", ".png"):
            raise ValueError(
                f"--output must end with .svg, .pdf or .png, or be a folder, not {self.output}."
            )
        if len(kinds) > 1:
            raise ValueError(
                f"--output {self.output} is one file, but there are {len(kinds)} pictures, "
                f"{', '.join(kinds)}; name one with --kind, or a folder."
            )
        return [self.output]


def _folder_with_results(path: Path) -> Path:
    """A folder, or the newest of the runs, sweeps and comparisons in it."""
    if not path.is_dir():
        raise ValueError(f"the folder {path} does not exist; name that of a run, or of runs.")
    if any((path / name).exists() for name in RESULTS):
        return path
    folders = {file.parent for name in RESULTS for file in path.glob(f"*/{name}")}
    return max(folders, key=_trained_at) if folders else path


def _trained_at(folder: Path) -> float:
    """When the newest of its files was written that is no picture: a sweep may have gone on."""
    drawn = (".svg", ".pdf", ".png", ".html")
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in drawn)
    return max(path.stat().st_mtime for path in files)
