"""Comparisons of optimizers: tuning with equal budgets, paired seeds, statistics, conclusions."""

from jaxnet.comparison import looks, statistics, tasks
from jaxnet.comparison._across import AcrossTasks, across
from jaxnet.comparison._compare import compare
from jaxnet.comparison.comparison_folder import TABLES, Comparison, read
from jaxnet.comparison.protocol import Protocol

__all__ = [
    "TABLES",
    "AcrossTasks",
    "Comparison",
    "Protocol",
    "across",
    "compare",
    "looks",
    "read",
    "statistics",
    "tasks",
]
