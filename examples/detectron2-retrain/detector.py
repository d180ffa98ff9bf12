"""The model as MLflow loads it: this file is kept next to the weights, and needs none of the training's others."""

import json
from pathlib import Path
from typing import Any


class Detector:
    """Finds boxes in images."""

    def __init__(self, folder: Path) -> None:
        from detectron2.config import get_cfg  # noqa: PLC0415 - a look at this file alone needs none of it
        from detectron2.engine import DefaultPredictor  # noqa: PLC0415

        cfg = get_cfg()
        cfg.merge_from_file(str(folder / "config.yaml"))
        cfg.MODEL.WEIGHTS = str(folder / "model.pth")
        self.predictor = DefaultPredictor(cfg)
        self.classes = json.loads((folder / "classes.json").read_text())

    def predict(self, images: Any) -> list[list[dict[str, Any]]]:
        """Return the boxes of each image, a NumPy array of blue, green and red.

        Each has its class, its score, and left, top, right and bottom in pixels.
        """
        return [self._boxes(self.predictor(image)["instances"].to("cpu")) for image in images]

    def _boxes(self, found: Any) -> list[dict[str, Any]]:
        columns = found.pred_classes.tolist(), found.scores.tolist(), found.pred_boxes.tensor.tolist()
        return [
            {"class": self.classes[number], "score": score, "box": box}
            for number, score, box in zip(*columns, strict=True)
        ]


def _load_pyfunc(path: str) -> Detector:
    """Load it; mlflow.pyfunc.load_model calls this."""
    return Detector(Path(path))
