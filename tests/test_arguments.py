"""What a person passes is right, or refused in one sentence: `tests/support/wrong_arguments.py`."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import jaxnet as jn

SCRIPT = Path(__file__).parent / "support" / "wrong_arguments.py"


def test_every_wrong_argument_is_refused_in_one_sentence_that_names_it():
    """In a plain interpreter, since the shape checks of these tests would answer first."""
    process = subprocess.run(
        [sys.executable, SCRIPT], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["faults"] == []
    public = {name for name in jn.__all__ if inspect.isfunction(getattr(jn, name))}
    assert public - {"use_all_cores"} <= {name for name, _ in result["cells"]}
    assert len(result["cells"]) * result["kinds"] > 8000
