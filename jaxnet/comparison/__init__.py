"""Comparing optimizers: tuning with equal budgets, paired seeds, statistics, conclusions."""

from jaxnet.comparison import statistics, tasks
from jaxnet.comparison._compare import Comparison, compare, read

__all__ = ["Comparison", "compare", "read", "statistics", "tasks"]
