"""Loads images with boxes in YOLO's text format for detectron2, under the predecessor's function names.

Needs detectron2 and OpenCV, which the training image has; ``import *`` also imports their names, as it always did.
"""

from pathlib import Path
from typing import Any

import cv2
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode


def load_cvt_dict(file_annot: str, imsize: tuple[int, int]) -> list[dict[str, Any]]:
    """Read a file with one box a line: ``class x y w h``, relative to the image; ``imsize`` is (height, width).

    Returns the class, and the centre and size in whole pixels.
    """
    height, width = imsize
    boxes = []
    for line in filter(str.strip, Path(file_annot).read_text().splitlines()):
        kind, *numbers = line.split()
        x, y, w, h = (float(number) for number in numbers[:4])
        boxes.append(
            {"class": kind, "x": int(x * width), "y": int(y * height), "w": int(w * width), "h": int(h * height)}
        )
    return boxes


def get_dataset_dicts(img_dir: str, ann_dir: str) -> list[dict[str, Any]]:
    """Return detectron2's records of the .jpg images in ``img_dir`` that have a .txt file in ``ann_dir``, by name."""
    return [_record(f"{img_dir}/{file.stem}.jpg", file) for file in sorted(Path(ann_dir).glob("*.txt"))]


def register_dataset(dataset_train: str, ann_train: str, dataset_val: str, ann_val: str, classes: list[str]) -> None:
    """Register the training and the validation images with detectron2, each under its folder's path."""
    register_test_set(dataset_train, ann_train, classes)
    register_test_set(dataset_val, ann_val, classes)


def register_test_set(dataset: str, annotation: str, classes: list[str]) -> None:
    """Register one folder of images with detectron2, under its path."""
    DatasetCatalog.register(dataset, lambda: get_dataset_dicts(dataset, annotation))
    MetadataCatalog.get(dataset).set(thing_classes=classes)


def _record(image_file: str, annotation: Path) -> dict[str, Any]:
    image = cv2.imread(image_file)
    if image is None:  # for OpenCV: missing, or not an image
        raise FileNotFoundError(f"'{annotation}' belongs to the image '{image_file}', which cannot be read.")
    height, width = image.shape[:2]
    boxes = load_cvt_dict(str(annotation), (height, width))
    return {
        "file_name": image_file,
        "image_id": Path(image_file).name,
        "height": height,
        "width": width,
        "annotations": [_annotation(box) for box in boxes],
    }


def _annotation(box: dict[str, Any]) -> dict[str, Any]:
    corner = [int(box["x"] - box["w"] / 2), int(box["y"] - box["h"] / 2)]
    return {
        "bbox": [*corner, box["w"], box["h"]],
        "bbox_mode": BoxMode.XYWH_ABS,
        "category_id": int(box["class"]),
    }
