"""The dataset: three files of COCO annotations and their images, checked before a GPU is kept busy with them."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mypackage.prep_utils import DatasetError

LAYOUT = "images/ and annotations/train.json, val.json and test.json, in COCO's format"
DIGEST_CHARACTERS = 8


@dataclass(frozen=True)
class Split:
    """One file of annotations. ``annotated`` is how many of its images have a box: detectron2 trains on these only."""

    name: str
    file: Path
    image_folder: Path
    images: tuple[str, ...]
    classes: tuple[str, ...]
    annotated: int

    @property
    def registered_name(self) -> str:
        """Its name in detectron2's catalog, which knows names like coco_2017_train already."""
        return f"retrain_{self.name}"

    @property
    def digest(self) -> str:
        """Of its annotations and the images themselves: two models with the same one can be compared."""
        content = sha256(self.file.read_bytes())
        for image in self.images:
            content.update((self.image_folder / image).read_bytes())
        return content.hexdigest()[:DIGEST_CHARACTERS]


@dataclass(frozen=True)
class Dataset:
    """``train`` is learned from, ``val`` chooses the checkpoint, and only ``test`` counts for the gate."""

    train: Split
    val: Split
    test: Split

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be found, in detectron2's order."""
        return self.train.classes

    @property
    def splits(self) -> tuple[Split, ...]:
        """All three."""
        return self.train, self.val, self.test


def open_dataset(folder: Path) -> Dataset:
    """Read what is in the folder, or in the only one inside it, as archives often have. Raises DatasetError."""
    root = _find_root(folder)
    dataset = Dataset(_open(root, "train"), _open(root, "val"), _open(root, "test"))
    _require_same_classes(dataset)
    _require_held_out(dataset)
    return dataset


def register(dataset: Dataset) -> None:
    """Tell detectron2 of the splits, under their registered names."""
    from detectron2.data.datasets import register_coco_instances  # noqa: PLC0415 - the rest of this needs none of it

    for split in dataset.splits:
        register_coco_instances(split.registered_name, {}, str(split.file), str(split.image_folder))


def _find_root(folder: Path) -> Path:
    for root in (folder, *(each for each in sorted(folder.iterdir()) if each.is_dir())):
        if (root / "annotations").is_dir():
            return root
    names = ", ".join(sorted(each.name for each in folder.iterdir())) or "nothing"
    raise DatasetError(f"The dataset must have {LAYOUT} (it has: {names}).")


def _open(root: Path, name: str) -> Split:
    file, image_folder = root / "annotations" / f"{name}.json", root / "images"
    content = _read(file)
    images = tuple(sorted(image["file_name"] for image in content["images"]))
    if missing := [image for image in images if not (image_folder / image).is_file()]:
        raise DatasetError(
            f"'{file}' has {len(missing)} images that are not in '{image_folder}', such as {missing[0]}."
        )
    annotated = {each["image_id"] for each in content["annotations"]}
    if not annotated:
        raise DatasetError(f"'{file}' has no boxes.")
    classes = sorted(content["categories"], key=lambda category: category["id"])
    return Split(name, file, image_folder, images, tuple(each["name"] for each in classes), len(annotated))


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"The dataset must have {LAYOUT}; reading '{file}' failed: {error}") from error
    if absent := [key for key in ("images", "annotations", "categories") if key not in content]:
        raise DatasetError(f"'{file}' is not in COCO's format: it has no {', '.join(absent)}.")
    return content


def _require_same_classes(dataset: Dataset) -> None:
    for split in dataset.splits:
        if split.classes != dataset.classes:
            raise DatasetError(
                f"The categories differ: '{dataset.train.file}' has {', '.join(dataset.classes)}, "
                f"'{split.file}' has {', '.join(split.classes)}."
            )


def _require_held_out(dataset: Dataset) -> None:
    for split in (dataset.train, dataset.val):
        if seen := sorted(set(split.images) & set(dataset.test.images)):
            raise DatasetError(f"{len(seen)} images are in both {split.name}.json and test.json, such as {seen[0]}.")
