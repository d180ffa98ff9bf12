"""detectron2's own trainer with our hooks, and the evaluation of a checkpoint on one split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hooks import BEST, BestCheckpoint, MlflowCurve

try:
    from detectron2.engine import DefaultTrainer
    from detectron2.evaluation import COCOEvaluator, inference_on_dataset
except ImportError:  # choosing the checkpoint can be tried out without detectron2
    DefaultTrainer = object

LAST = "model_final"


class Trainer(DefaultTrainer):
    """Evaluates by COCO's AP."""

    @classmethod
    def build_evaluator(cls, cfg: Any, dataset_name: str) -> Any:
        """Return what compares the boxes that were found with those of the dataset."""
        return COCOEvaluator(dataset_name, output_dir=str(Path(cfg.OUTPUT_DIR) / dataset_name))


def train(cfg: Any, *, metric: str, log_every: int) -> Trainer:
    """Train from the configuration's weights to the end; the checkpoints are in its OUTPUT_DIR."""
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    trainer = Trainer(cfg)
    trainer.register_hooks([BestCheckpoint(metric), MlflowCurve(log_every)])  # after detectron2's, which evaluate
    trainer.resume_or_load(resume=False)
    trainer.train()
    return trainer


def choose_checkpoint(output: Path) -> Path:
    """Return the best checkpoint, or the last one where no evaluation gave a number. Raises FileNotFoundError."""
    for name in (BEST, LAST):
        if (file := output / f"{name}.pth").exists():
            return file
    raise FileNotFoundError(f"The training left no checkpoint in '{output}'.")


def evaluate(trainer: Trainer, weights: Path, dataset_name: str) -> Mapping[str, Mapping[str, float]]:
    """Return detectron2's results of these weights on a registered dataset."""
    trainer.checkpointer.load(str(weights), checkpointables=[])
    loader = trainer.build_test_loader(trainer.cfg, dataset_name)
    results: Mapping[str, Mapping[str, float]] = inference_on_dataset(
        trainer.model, loader, trainer.build_evaluator(trainer.cfg, dataset_name)
    )
    return results
