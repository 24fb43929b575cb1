"""Train one network: steps, epochs, runs, checkpoints, evaluation, monitors."""

from jaxnet.training import metrics
from jaxnet.training._fit import fit
from jaxnet.training._train import train
from jaxnet.training.classification_report import ClassificationReport
from jaxnet.training.devices import use_all_cores
from jaxnet.training.epochs import epoch
from jaxnet.training.evaluation import confusion, evaluate
from jaxnet.training.monitors import Monitors
from jaxnet.training.registration import register
from jaxnet.training.regression_report import RegressionReport
from jaxnet.training.reports import report
from jaxnet.training.run import EpochReport, Run, RunState
from jaxnet.training.step import TrainState, start

__all__ = [
    "ClassificationReport",
    "EpochReport",
    "Monitors",
    "RegressionReport",
    "Run",
    "RunState",
    "TrainState",
    "confusion",
    "epoch",
    "evaluate",
    "fit",
    "metrics",
    "register",
    "report",
    "start",
    "train",
    "use_all_cores",
]
