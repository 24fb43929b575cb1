"""Training many networks at once: search spaces, chunks of lanes, executors, studies."""

from jaxnet.sweeps._sweep import sweep
from jaxnet.sweeps.executors import SweepReport
from jaxnet.sweeps.study import Study
from jaxnet.training.devices import use_all_cores

__all__ = ["Study", "SweepReport", "sweep", "use_all_cores"]
