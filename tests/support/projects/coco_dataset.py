"""A small dataset in COCO's format: boxes of two classes, each class around a place of its own."""

import json
from pathlib import Path

CLASSES = ("car", "bus")
PLACES = ((100, 60, 40, 20), (20, 120, 60, 50))
SPLITS = {"train": range(12), "val": range(12, 16), "test": range(16, 20)}


def write_dataset(folder: Path) -> Path:
    """Write it, the same every time. The numbers of its categories begin with 5, as they may."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for name, numbers in SPLITS.items():
        content = {
            "images": [{"id": number, "file_name": f"{number}.jpg", "width": 320, "height": 240} for number in numbers],
            "annotations": [_annotation(number, kind) for number in numbers for kind in range(len(CLASSES))],
            "categories": [{"id": 5 + kind, "name": name} for kind, name in reversed(list(enumerate(CLASSES)))],
        }
        (folder / "annotations" / f"{name}.json").write_text(json.dumps(content))
        for number in numbers:
            (folder / "images" / f"{number}.jpg").write_bytes(b"image %d" % number)
    return folder


def _annotation(image: int, kind: int) -> dict[str, object]:
    left, top, width, height = PLACES[kind]
    box = [left + image % 3, top + image % 5, width, height]
    return {"id": 2 * image + kind + 1, "image_id": image, "category_id": 5 + kind, "bbox": box, "iscrowd": 0}
