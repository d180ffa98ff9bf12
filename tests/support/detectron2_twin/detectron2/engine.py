"""The trainer and its hooks, in detectron2's order; the predictor."""

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Any

from detectron2.data import DatasetCatalog
from detectron2.evaluation import inference_on_dataset
from detectron2.modeling import Checkpointer, Model


class HookBase:
    """Something beside the training."""

    trainer: Any = None

    def after_step(self) -> None:
        """After each iteration."""

    def after_train(self) -> None:
        """After the last one, or a failure."""


class EventStorage:
    """The last value of everything, with the iteration that it is of."""

    def __init__(self) -> None:
        self.iter = 0
        self._latest: dict[str, tuple[float, int]] = {}

    def put_scalars(self, *, smoothing_hint: bool = True, **values: float) -> None:
        """Note them."""
        self._latest |= {name: (float(value), self.iter) for name, value in values.items()}

    def latest(self) -> dict[str, tuple[float, int]]:
        """Return all."""
        return self._latest

    def latest_with_smoothing_hint(self, window_size: int = 20) -> dict[str, tuple[float, int]]:
        """Return all; the twin smooths nothing."""
        return self._latest


class _PeriodicCheckpointer(HookBase):
    def __init__(self, period: int) -> None:
        self._period = period

    def after_step(self) -> None:
        iteration = self.trainer.iter
        if (iteration + 1) % self._period == 0:
            self.trainer.checkpointer.save(f"model_{iteration:07d}", iteration=iteration)
        if iteration >= self.trainer.max_iter - 1:
            self.trainer.checkpointer.save("model_final", iteration=iteration)


class _EvalHook(HookBase):
    def __init__(self, period: int) -> None:
        self._period = period

    def after_step(self) -> None:
        done = self.trainer.iter + 1
        if self._period > 0 and done % self._period == 0 and done != self.trainer.max_iter:
            self._evaluate()

    def after_train(self) -> None:
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._evaluate()

    def _evaluate(self) -> None:
        results = self.trainer.test(self.trainer.cfg, self.trainer.model)
        flat = {f"{task}/{name}": value for task, values in results.items() for name, value in values.items()}
        self.trainer.storage.put_scalars(**flat, smoothing_hint=False)


class DefaultTrainer:
    """Trains by the configuration."""

    def __init__(self, cfg: Any) -> None:
        assert cfg.MODEL.DEVICE == "cpu", "Found no NVIDIA driver on your system."
        self.cfg, self.max_iter, self.iter = cfg, cfg.SOLVER.MAX_ITER, 0
        self.model, self.storage = Model(cfg.MODEL.ROI_HEADS.NUM_CLASSES), EventStorage()
        self.checkpointer = Checkpointer(self.model, cfg.OUTPUT_DIR)
        self._batches = _batches(DatasetCatalog.get(cfg.DATASETS.TRAIN[0]), cfg.SOLVER.IMS_PER_BATCH)
        self._hooks: list[HookBase] = []
        self.register_hooks([_PeriodicCheckpointer(cfg.SOLVER.CHECKPOINT_PERIOD), _EvalHook(cfg.TEST.EVAL_PERIOD)])

    def register_hooks(self, hooks: Iterable[HookBase]) -> None:
        """Add hooks, which are called in this order."""
        for hook in hooks:
            assert isinstance(hook, HookBase)
            hook.trainer = self
            self._hooks.append(hook)

    def resume_or_load(self, resume: bool = True) -> None:
        """Begin with the configuration's weights; the twin resumes nothing."""
        assert not resume
        self.checkpointer.load(self.cfg.MODEL.WEIGHTS, checkpointables=[])

    def train(self) -> None:
        """Go through all iterations."""
        try:
            for number in range(self.max_iter):
                self.iter = self.storage.iter = number
                self.run_step()
                for hook in self._hooks:
                    hook.after_step()
            self.iter += 1
        finally:
            self.storage.iter = self.iter
            for hook in self._hooks:
                hook.after_train()

    def run_step(self) -> None:
        """Learn one batch."""
        loss = self.model.learn(next(self._batches), self.cfg.SOLVER.BASE_LR)
        self.storage.put_scalars(total_loss=loss, lr=self.cfg.SOLVER.BASE_LR)

    @classmethod
    def build_test_loader(cls, cfg: Any, dataset_name: str) -> Any:
        """Return the dataset's images."""
        return DatasetCatalog.get(dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> Any:
        """Must be implemented."""
        raise NotImplementedError

    @classmethod
    def test(cls, cfg: Any, model: Any) -> Any:
        """Evaluate on the configuration's test dataset."""
        name = cfg.DATASETS.TEST[0]
        return inference_on_dataset(model, cls.build_test_loader(cfg, name), cls.build_evaluator(cfg, name))


class DefaultPredictor:
    """The model of a configuration, for one image at a time."""

    def __init__(self, cfg: Any) -> None:
        self.model = Model(cfg.MODEL.ROI_HEADS.NUM_CLASSES)
        Checkpointer(self.model).load(cfg.MODEL.WEIGHTS)

    def __call__(self, original_image: Any) -> dict[str, Any]:
        """Return what is found."""
        return {"instances": self.model.find()}


def _batches(records: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    endless = cycle([record for record in records if record["annotations"]])
    while True:
        yield [next(endless) for _ in range(size)]
