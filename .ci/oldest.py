"""Print the oldest version that pyproject.toml allows of each dependency, as pip's constraints."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["test"], *extras["cli"], *extras["dask"],
                    *extras["tables"], *extras["tensorboard"]]:  # fmt: skip
    if match := re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement):
        print("==".join(match.groups()))
