"""detectron2's configuration: one of its model zoo, with this dataset, this schedule and these weights."""

import math
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coco import Dataset

WARMUP_ITERATIONS = 1000  # of detectron2's schedules, which are long; a short one warms up for a tenth
SEED = 7


@dataclass(frozen=True)
class Schedule:
    """How long to train, in detectron2's unit: an iteration is one batch."""

    images: int
    images_per_batch: int
    epochs: int

    @property
    def epoch(self) -> int:
        """Iterations until each image was seen once."""
        return max(1, math.ceil(self.images / self.images_per_batch))

    @property
    def iterations(self) -> int:
        """In all."""
        return self.epoch * self.epochs

    @property
    def drops(self) -> tuple[int, ...]:
        """Where the learning rate falls to a tenth: as in the zoo's schedules, after 2/3 and 8/9."""
        return tuple(sorted({self.iterations * 2 // 3, self.iterations * 8 // 9} - {0}))

    @property
    def warmup(self) -> int:
        """Iterations until the learning rate is reached."""
        return min(WARMUP_ITERATIONS, self.iterations // 10)


def overrides(args: Namespace, dataset: Dataset, output: Path) -> dict[str, Any]:
    """Return what differs from the zoo's configuration, by detectron2's keys. It refuses a value of another type."""
    schedule = Schedule(dataset.train.annotated, args.images_per_batch, args.epochs)
    return {
        "DATASETS.TRAIN": (dataset.train.registered_name,),
        "DATASETS.TEST": (dataset.val.registered_name,),
        "DATALOADER.NUM_WORKERS": 2,
        "MODEL.DEVICE": args.device,
        "MODEL.ROI_HEADS.NUM_CLASSES": len(dataset.classes),
        "MODEL.RETINANET.NUM_CLASSES": len(dataset.classes),
        "SOLVER.IMS_PER_BATCH": args.images_per_batch,
        "SOLVER.BASE_LR": args.learning_rate,
        "SOLVER.MAX_ITER": schedule.iterations,
        "SOLVER.STEPS": schedule.drops,
        "SOLVER.WARMUP_ITERS": schedule.warmup,
        "SOLVER.CHECKPOINT_PERIOD": schedule.iterations + 1,  # never: the best ones are kept, and the last
        "TEST.EVAL_PERIOD": schedule.epoch,
        "OUTPUT_DIR": str(output),
        "SEED": SEED,
    }


def build(config: str, weights: Path | None, changes: dict[str, Any]) -> Any:
    """Return the CfgNode; without weights, it starts from those that the zoo trained on COCO."""
    from detectron2 import model_zoo  # noqa: PLC0415 - the rest of this needs none of it
    from detectron2.config import get_cfg  # noqa: PLC0415

    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file(config))
    cfg.merge_from_list([part for item in changes.items() for part in item])
    cfg.MODEL.WEIGHTS = str(weights) if weights else model_zoo.get_checkpoint_url(config)
    cfg.freeze()
    return cfg
