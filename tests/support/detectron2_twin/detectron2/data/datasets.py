"""Datasets in COCO's format."""

import json
from pathlib import Path
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode


def register_coco_instances(name: str, metadata: dict[str, Any], json_file: str, image_root: str) -> None:
    """Register it under the name; the file is read when the dataset is asked for."""
    DatasetCatalog.register(name, lambda: load_coco_json(json_file, image_root, name))
    MetadataCatalog.get(name).set(json_file=json_file, image_root=image_root, evaluator_type="coco", **metadata)


def load_coco_json(json_file: str, image_root: str, dataset_name: str) -> list[dict[str, Any]]:
    """Return its records, and note the classes, whose numbers begin with 0 whatever the file's do."""
    content = json.loads(Path(json_file).read_text())
    classes = sorted(content["categories"], key=lambda each: each["id"])
    numbers = {each["id"]: number for number, each in enumerate(classes)}
    MetadataCatalog.get(dataset_name).set(thing_classes=[each["name"] for each in classes])
    return [
        {
            "file_name": str(Path(image_root) / image["file_name"]),
            "image_id": image["id"],
            "annotations": [
                {"bbox": each["bbox"], "bbox_mode": BoxMode.XYWH_ABS, "category_id": numbers[each["category_id"]]}
                for each in content["annotations"]
                if each["image_id"] == image["id"]
            ],
        }
        for image in content["images"]
    ]
