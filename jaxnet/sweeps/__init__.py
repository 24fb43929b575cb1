"""Training many networks at once: search spaces, chunks of lanes, executors, studies."""

from jaxnet.sweeps._sweep import sweep
from jaxnet.sweeps.cross_validation import CrossValidation, cross_validate
from jaxnet.sweeps.ensemble import Ensemble
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.opening import open_study
from jaxnet.sweeps.search_space import LogUniform, OneMinus, Uniform, grid, sample, zipped
from jaxnet.sweeps.settings import Settings
from jaxnet.sweeps.study import Study
from jaxnet.sweeps.tabular import TabularDefaults, tabular_defaults, tabular_ensemble

__all__ = [
    "CrossValidation",
    "Ensemble",
    "LogUniform",
    "OneMinus",
    "Settings",
    "Study",
    "SweepReport",
    "TabularDefaults",
    "Uniform",
    "cross_validate",
    "grid",
    "open_study",
    "sample",
    "sweep",
    "tabular_defaults",
    "tabular_ensemble",
    "zipped",
]
