"""What happens during the training besides it: its metrics go to MLflow, and the best checkpoint is kept."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import mlflow
from metrics import in_training, loggable

try:
    from detectron2.engine import HookBase
except ImportError:  # what the hooks do can be tried out without detectron2
    HookBase = object

SMOOTHED_OVER = 20  # iterations; what detectron2's own writers take
BEST = "model_best"


class MlflowCurve(HookBase):
    """Logs every so many iterations, and at the end, what is new since."""

    def __init__(self, every: int, log: Callable[..., Any] = mlflow.log_metrics) -> None:
        self.every, self.log = every, log
        self._logged: dict[str, int] = {}

    def after_step(self) -> None:
        """Log, when it is time."""
        if (self.trainer.iter + 1) % self.every == 0:
            self._log()

    def after_train(self) -> None:
        """Log the rest, such as the last evaluation; detectron2 calls this after a failure, too."""
        self._log()

    def _log(self) -> None:
        by_iteration: defaultdict[int, dict[str, float]] = defaultdict(dict)
        for name, (value, iteration) in self.trainer.storage.latest_with_smoothing_hint(SMOOTHED_OVER).items():
            if self._logged.get(name, -1) < iteration:
                by_iteration[iteration][in_training(name)] = value
                self._logged[name] = iteration
        for iteration, values in by_iteration.items():
            self.log(loggable(values), step=iteration)


class BestCheckpoint(HookBase):
    """Saves the weights after each evaluation that is the best so far; of equals the first, and NaN is never one.

    detectron2's BestCheckpointer is not used, since its first evaluation makes no checkpoint in some versions.
    It must come after the hook that evaluates.
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.best = -math.inf
        self._seen_iteration = -1

    def after_step(self) -> None:
        """Look whether there was an evaluation."""
        self._look()

    def after_train(self) -> None:
        """The last evaluation is after the training."""
        self._look()

    def _look(self) -> None:
        value, iteration = self.trainer.storage.latest().get(self.metric, (math.nan, -1))
        if iteration <= self._seen_iteration:
            return
        self._seen_iteration = iteration
        print(f"iteration {iteration}: {self.metric} {value:.2f} on the validation images", flush=True)
        if value > self.best:
            self.best = value
            self.trainer.checkpointer.save(BEST, iteration=iteration)
