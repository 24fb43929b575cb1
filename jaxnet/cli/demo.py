"""`jaxnet demo`: interactive pages in which the browser itself computes."""

import dataclasses
import webbrowser
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from jaxnet.cli import console
from jaxnet.cli.questions import network_file
from jaxnet.io import files, network_files
from jaxnet.reporting import demo_pages


@dataclasses.dataclass(frozen=True)
class Demo:
    """Write an interactive page that works offline, and open it in the browser.

    In each page the browser computes the gradients itself, by the equations of backpropagation.
    """

    name: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]", help_behavior_hint="")
    ] = ""
    """Name of the page; without it, all pages are listed."""
    run: Annotated[
        tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[RUN]", help_behavior_hint="")
    ] = None
    """For digits: the folder of a run or of runs, or a network file, whose network answers."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """File to write (jaxnet-NAME.html in the working directory)."""

    def __call__(self, out: Console) -> None:
        """List the pages; or write one, and open it where a person sits at a terminal."""
        if not self.name:
            self._list(out)
            return
        demo_pages.check(self.name, self.run is not None)
        network = None if self.run is None else network_files.load(network_file(self.run))
        page = demo_pages.demo_page(self.name, network)
        path = self.output or Path(f"jaxnet-{self.name}.html")
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--output must be a file that ends with .html, not {path}.")
        if path.is_file() and not demo_pages.is_demo_page(path):
            raise ValueError(
                f"{path} exists, and is no page of jaxnet demo; name another file by --output."
            )
        files.write_atomic(path, page.encode())
        console.say(out, str(path.resolve()))
        if out.is_terminal:
            webbrowser.open_new_tab(path.resolve().as_uri())

    def _list(self, out: Console) -> None:
        """Print the names and titles of all pages."""
        if self.output is not None:
            raise ValueError("--output needs the NAME of a page; jaxnet demo lists them.")
        widest = max(map(len, demo_pages.TITLES))
        for name, title in demo_pages.TITLES.items():
            console.say(out, f"{name:{widest}}  {title}")
        console.say_command(out, "Open one", f"jaxnet demo {next(iter(demo_pages.TITLES))}")
