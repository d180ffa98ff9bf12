"""The metrics of COCO's evaluation: their names, here and in MLflow, and how detectron2's results become them."""

import math
import re
from collections.abc import Mapping, Sequence

MAIN, MAIN_SOURCE = "mAP", "bbox/AP"  # the first is the predecessor's name for detectron2's
TASKS = ("bbox", "segm", "keypoints")
PER_SIZE = ("AP", "AP50", "AP75", "APs", "APm", "APl")
NOT_ALLOWED = re.compile(r"[^\w\-. :/]", re.ASCII)  # in a metric's name, by MLflow


def source_of(metric: str) -> str:
    """Return detectron2's name of a metric."""
    return MAIN_SOURCE if metric == MAIN else metric


def metric_names(classes: Sequence[str]) -> list[str]:
    """Return what the primary metric may be: AP at all sizes and, where there are several classes, of each.

    But for a class whose name MLflow does not take in a metric's.
    """
    of_classes = [f"bbox/AP-{name}" for name in classes if not NOT_ALLOWED.search(name)] if len(classes) > 1 else []
    return [MAIN, *(f"bbox/{name}" for name in PER_SIZE), *of_classes]


def flatten(results: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return {"bbox": {"AP": …}} as {"bbox/AP": …}, and the main one under both its names."""
    flat = {f"{task}/{name}": float(value) for task, values in results.items() for name, value in values.items()}
    return {MAIN: flat[MAIN_SOURCE], **flat} if MAIN_SOURCE in flat else flat


def loggable(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return them by names that MLflow takes, without those that are no number: AP of a size that no box has."""
    return {NOT_ALLOWED.sub("_", name): value for name, value in metrics.items() if math.isfinite(value)}


def in_training(name: str) -> str:
    """Return the name of something that detectron2 noted while it trained: val/… of an evaluation, else train/…"""
    return f"{'val' if name.partition('/')[0] in TASKS else 'train'}/{name}"
