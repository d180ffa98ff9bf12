"""mypackage.dataset_utils, test_utils and version folders: what the predecessor's detectron2 projects call.

detectron2 and OpenCV are too big to install here, so a twin of the little that is used stands in for them.
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import tests.support
from mypackage import test_utils, utility
from mypackage.dataset.errors import DatasetError
from tests.support.servers.file_server import FileServer

TWIN = Path(tests.support.__file__).parent / "detectron2_twin"


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What `from mypackage.dataset_utils import *` brings, in a folder with images of 200 x 100."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(TWIN)
    for folder in ("images", "ann"):
        (tmp_path / folder).mkdir()
    for name in ("b.1", "a"):
        with (tmp_path / "images" / f"{name}.jpg").open("wb") as file:
            np.save(file, np.zeros((100, 200, 3), dtype=np.uint8))
    (tmp_path / "ann" / "a.txt").write_text("2 0.5 0.5 0.1 0.2\n\n0 0.25 0.1 0.05 0.1\n")
    (tmp_path / "ann" / "b.1.txt").write_text("")
    (tmp_path / "ann" / "classes.json").write_text("[]")
    brought: dict[str, Any] = {}
    exec("from mypackage.dataset_utils import *", brought)  # noqa: S102 - an import * is allowed at a module's top only
    yield brought
    for name in [each for each in sys.modules if each.partition(".")[0] in ("cv2", "detectron2")]:
        del sys.modules[name]
    del sys.modules["mypackage.dataset_utils"]


def test_images_with_boxes_become_records_of_detectron2(names: dict[str, Any]) -> None:
    first, second = names["get_dataset_dicts"]("images", "ann")
    mode = names["BoxMode"].XYWH_ABS
    assert first == {
        "file_name": "images/a.jpg",
        "image_id": "a.jpg",
        "height": 100,
        "width": 200,
        "annotations": [
            {"bbox": [90, 40, 20, 20], "bbox_mode": mode, "category_id": 2},
            {"bbox": [45, 5, 10, 10], "bbox_mode": mode, "category_id": 0},
        ],
    }
    assert (second["image_id"], second["annotations"]) == ("b.1.jpg", [])


def test_folders_are_registered_under_their_paths_with_the_classes(names: dict[str, Any]) -> None:
    names["register_dataset"]("images", "ann", "other", "ann", ["car", "bus", "van"])
    assert [each["image_id"] for each in names["DatasetCatalog"].get("images")] == ["a.jpg", "b.1.jpg"]
    assert names["MetadataCatalog"].get("other").thing_classes == ["car", "bus", "van"]


def test_an_image_that_is_missing_is_named(names: dict[str, Any]) -> None:
    Path("images/a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"images/a\.jpg"):
        names["get_dataset_dicts"]("images", "ann")


def test_a_new_version_begins_as_a_copy_of_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="version/1"):
        utility.create_new_version_dir()
    for number in ("9", "10"):
        (tmp_path / "version" / number).mkdir(parents=True)
        (tmp_path / "version" / number / "model-metadata.json").write_text(number)
    (tmp_path / "version" / "notes").mkdir()
    assert utility.create_new_version_dir() == "version/11"
    assert Path("version/11/model-metadata.json").read_text() == "10"


def zipped(folder: Path, *files: str) -> bytes:
    with zipfile.ZipFile(folder / "set.zip", "w") as archive:
        for file in files:
            archive.writestr(file, "x")
    return (folder / "set.zip").read_bytes()


def test_a_test_set_is_unpacked_and_its_two_folders_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with FileServer({"/set.zip": zipped(tmp_path, "dataset_test/a.jpg", "ann_test/a.txt", "README")}) as server:
        assert test_utils.test_set_prep(f"{server.url}/set.zip") == ("test_set/dataset_test", "test_set/ann_test")
    assert Path("test_set/ann_test/a.txt").read_text() == "x"


def test_a_test_set_without_annotations_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        FileServer({"/set.zip": zipped(tmp_path, "data/a.jpg")}) as server,
        pytest.raises(DatasetError, match=r"begins with 'ann' \(it has: data\)"),
    ):
        test_utils.test_set_prep(f"{server.url}/set.zip")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")  # MLflow's, on SQLAlchemy 2.1
def test_what_mlflow_has_comes_into_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        client = MlflowClient()
        run_id = client.create_run(client.create_experiment("e", (tmp_path / "artifacts").as_uri())).info.run_id
        client.log_text(run_id, "weights", "output/model_final.pth")
        path = test_utils.get_model_from_mlflow(f"runs:/{run_id}/output")
    finally:
        mlflow.set_tracking_uri("")
    assert Path(path).resolve() == tmp_path / "output"
    assert Path("output/model_final.pth").read_text() == "weights"
