"""Measurements that need a fresh process each: a first call, a second start."""

import json
import os
import subprocess
import sys
from pathlib import Path


def in_fresh_process(module: str, *arguments: object, **variables: str) -> dict:
    """Run a module of this folder in a process of its own.

    Args:
      module: its name; it prints one line of JSON last.
      *arguments: what follows on its command line.
      **variables: variables of its environment.

    Returns:
      The content of that line.
    """
    process = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=Path(__file__).parents[1], env=os.environ | {"JAXNET_CACHE": "off"} | variables,
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(process.stdout.splitlines()[-1])
