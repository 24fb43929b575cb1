"""The type checker that tests apply to every signature of jaxnet."""

import threading
from typing import TypeVar

from beartype import BeartypeConf, beartype

Checked = TypeVar("Checked")

# An int is a float to a person, as it is to a type checker.
_checker = beartype(conf=BeartypeConf(is_pep484_tower=True))
_lock = threading.RLock()


def typecheck(function: Checked) -> Checked:
    """Check a function's arguments and result when it is called.

    A checker is made within `warnings.catch_warnings`, which two threads may not enter at once:
    filters that one of them has set would stay, and swallow the warnings of a test. Sweeps trace
    in threads, and what is defined inside of a function gets its checker then.
    """
    with _lock:
        return _checker(function)
