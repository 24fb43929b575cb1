"""Pages of the documentation as notebooks, and cells that run in a kernel of Jupyter."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

CELL = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<printed>.*?)^```\n)?", re.M | re.S
)


class Cell(NamedTuple):
    """A cell that has run."""

    code: str
    outputs: list[Any]

    def text(self) -> str:
        """What the cell printed, and the text of its value."""
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "")
                 for output in self.outputs]  # fmt: skip
        return "\n".join(texts).rstrip("\n") + "\n"

    def errors(self) -> str:
        """What the cell wrote to the standard error: a warning, if there was one."""
        texts = [output["text"] for output in self.outputs if output.get("name") == "stderr"]
        return "".join(texts)

    def html(self) -> str:
        """The HTML of its value; empty if there is none."""
        return "".join(output.get("data", {}).get("text/html", "") for output in self.outputs)


def cells_of(page: str) -> list[tuple[str, str | None]]:
    """The code of each cell of a page, and the text that follows it; `None` for none."""
    return [(cell["code"].rstrip("\n"), cell["printed"]) for cell in CELL.finditer(page)]


def run(codes: Sequence[str]) -> list[Cell]:
    """Run cells in a new kernel, which must be installed."""
    import nbclient  # pyright: ignore[reportMissingImports]
    import nbformat  # pyright: ignore[reportMissingImports]

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    return [Cell(cell.source, cell.outputs) for cell in book.cells]
