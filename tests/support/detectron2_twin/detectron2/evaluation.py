"""The evaluation, with detectron2's names for its results."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detectron2.data import DatasetCatalog, MetadataCatalog

SIZES = ("APs", "APm", "APl")


class COCOEvaluator:
    """Compares what was found with a dataset's boxes; it has a number for all and each class, and none by size."""

    def __init__(self, dataset_name: str, output_dir: str | None = None) -> None:
        self._records = {record["image_id"]: record for record in DatasetCatalog.get(dataset_name)}
        self._classes = MetadataCatalog.get(dataset_name).thing_classes
        if output_dir:
            Path(output_dir).mkdir(parents=True, exist_ok=True)

    def reset(self) -> None:
        """Forget what was seen."""
        self._overlaps: dict[str, list[float]] = {name: [] for name in self._classes}

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
        """Take in what was found in some images."""
        for given, output in zip(inputs, outputs, strict=True):
            corners = output["instances"].pred_boxes.tensor
            for each in self._records[given["image_id"]]["annotations"]:
                number = each["category_id"]
                self._overlaps[self._classes[number]].append(_overlap(corners[number], np.array(each["bbox"], float)))

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Return the results."""
        every = np.array([each for overlaps in self._overlaps.values() for each in overlaps])
        results = {"AP": every.mean() * 100, "AP50": (every >= 0.5).mean() * 100, "AP75": (every >= 0.75).mean() * 100}
        results |= dict.fromkeys(SIZES, math.nan)
        if len(self._classes) > 1:
            results |= {f"AP-{name}": np.mean(each) * 100 for name, each in self._overlaps.items()}
        return {"bbox": {name: float(value) for name, value in results.items()}}


def inference_on_dataset(model: Any, data_loader: Iterable[dict[str, Any]], evaluator: Any) -> Any:
    """Show the model all images, and return the evaluator's results."""
    evaluator.reset()
    for record in data_loader:
        evaluator.process([record], [{"instances": model.find()}])
    return evaluator.evaluate()


def _overlap(corners: Any, box: Any) -> float:
    """Intersection over union."""
    low, high = np.maximum(corners[:2], box[:2]), np.minimum(corners[2:], box[:2] + box[2:])
    common = float(np.prod(np.clip(high - low, 0, None)))
    return common / (float(np.prod(corners[2:] - corners[:2])) + float(np.prod(box[2:])) - common)
