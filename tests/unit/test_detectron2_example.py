"""examples/detectron2-retrain's own code, without detectron2: data, configuration, hooks, metrics and checkpoints."""

import importlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mypackage.prep_utils import DatasetError
from tests.support.projects.coco_dataset import write_dataset

EXAMPLE = Path(__file__).parents[2] / "examples" / "detectron2-retrain"
MODULES = ("coco", "configuration", "detector", "hooks", "metrics", "saved_model", "train", "trainer")


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """The example's modules, by their names."""
    sys.path.insert(0, str(EXAMPLE))
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    sys.path.remove(str(EXAMPLE))
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "dataset")


class Trainer:
    """What a hook sees of detectron2's trainer, going through the iterations that a test says."""

    def __init__(self, hook: Any) -> None:
        self.iter = -1
        self.values: dict[str, tuple[float, int]] = {}
        self.saved: list[tuple[str, int]] = []
        self.storage = SimpleNamespace(
            latest=lambda: self.values, latest_with_smoothing_hint=lambda _window_size: self.values
        )
        self.checkpointer = SimpleNamespace(save=lambda name, iteration: self.saved.append((name, iteration)))
        self.hook, hook.trainer = hook, self

    def step(self, **values: float) -> None:
        self.iter += 1
        self._note(values)
        self.hook.after_step()

    def end(self, **values: float) -> None:
        self.iter += 1
        self._note(values)
        self.hook.after_train()

    def _note(self, values: dict[str, float]) -> None:
        self.values |= {name: (value, self.iter) for name, value in values.items()}


def rewrite(folder: Path, split: str, **changes: Any) -> None:
    file = folder / "annotations" / f"{split}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_dataset_is_found_in_its_folder_and_one_below(example: Any, folder: Path) -> None:
    for root in (folder, folder.parent):
        dataset = example.coco.open_dataset(root)
        assert dataset.classes == ("car", "bus")
        assert [len(split.images) for split in dataset.splits] == [12, 4, 4]
        assert dataset.train.annotated == 12


def test_a_folder_that_is_no_dataset_is_refused_with_what_is_in_it(example: Any, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    with pytest.raises(DatasetError, match=r"must have images/ and .* \(it has: labels\)"):
        example.coco.open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("split", "changes", "message"),
    [
        ("val", {"images": [{"id": 1, "file_name": "gone.jpg"}]}, r"val.json' has 1 images .* such as gone.jpg"),
        ("test", {"images": [{"id": 3, "file_name": "3.jpg"}]}, r"1 images are in both train.json and test.json"),
        ("test", {"images": [{"id": 12, "file_name": "12.jpg"}]}, r"1 images are in both val.json and test.json"),
        ("val", {"categories": [{"id": 5, "name": "car"}]}, r"categories differ: .*car, bus.*val.json' has car\."),
        ("train", {"annotations": []}, r"train.json' has no boxes"),
    ],
)
def test_a_dataset_that_would_spoil_the_training_is_refused_before_it(
    example: Any, folder: Path, split: str, changes: dict[str, Any], message: str
) -> None:
    rewrite(folder, split, **changes)
    with pytest.raises(DatasetError, match=message):
        example.coco.open_dataset(folder)


def test_a_file_that_is_not_cocos_is_refused(example: Any, folder: Path) -> None:
    (folder / "annotations" / "test.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match=r"test.json' is not in COCO's format: it has no annotations, categories"):
        example.coco.open_dataset(folder)
    (folder / "annotations" / "test.json").unlink()
    with pytest.raises(DatasetError, match=r"reading '.*test.json' failed"):
        example.coco.open_dataset(folder)


def test_the_digest_of_the_evaluation_data_changes_with_a_box_or_an_image_and_with_no_other_split(
    example: Any, folder: Path
) -> None:
    def digest() -> str:
        return str(example.coco.open_dataset(folder).test.digest)

    first = digest()
    rewrite(folder, "train", info="more")
    (folder / "images" / "0.jpg").write_bytes(b"another image")
    assert digest() == first
    (folder / "images" / "16.jpg").write_bytes(b"another image")
    second = digest()
    rewrite(folder, "test", info="more")
    assert len({first, second, digest()}) == 3


def test_a_schedule_counts_in_batches(example: Any) -> None:
    schedule = example.configuration.Schedule(images=10, images_per_batch=4, epochs=12)
    assert (schedule.epoch, schedule.iterations, schedule.drops, schedule.warmup) == (3, 36, (24, 32), 3)
    shortest = example.configuration.Schedule(images=1, images_per_batch=4, epochs=1)
    assert (shortest.epoch, shortest.iterations, shortest.drops, shortest.warmup) == (1, 1, (), 0)


def test_the_configuration_follows_the_request_and_the_data(example: Any, folder: Path) -> None:
    asked = [
        "--dataset_repo",
        "x",
        "--epochs",
        "2",
        "--images_per_batch",
        "5",
        "--learning_rate",
        "1",
        "--device",
        "cpu",
    ]
    dataset = example.coco.open_dataset(folder)
    changes = example.configuration.overrides(example.train.parse_arguments(asked), dataset, Path("out"))
    assert changes["DATASETS.TRAIN"] == ("retrain_train",)
    assert changes["DATASETS.TEST"] == ("retrain_val",)
    assert changes["MODEL.ROI_HEADS.NUM_CLASSES"] == 2
    assert (changes["SOLVER.IMS_PER_BATCH"], changes["SOLVER.MAX_ITER"], changes["TEST.EVAL_PERIOD"]) == (5, 6, 3)
    assert (changes["MODEL.DEVICE"], changes["OUTPUT_DIR"]) == ("cpu", "out")
    assert repr(changes["SOLVER.BASE_LR"]) == "1.0"  # detectron2 refuses an int here


def test_results_become_metrics_under_names_that_mlflow_takes(example: Any) -> None:
    flat = example.metrics.flatten({"bbox": {"AP": 41.5, "APs": math.nan, "AP-cats & dogs": 12}})
    assert (flat["mAP"], flat["bbox/AP"]) == (41.5, 41.5)
    assert example.metrics.loggable(flat) == {"mAP": 41.5, "bbox/AP": 41.5, "bbox/AP-cats _ dogs": 12.0}
    assert example.metrics.flatten({}) == {}


def test_the_primary_metric_is_one_of_the_evaluation(example: Any, folder: Path) -> None:
    names = example.metrics.metric_names(["car", "cats & dogs"])
    assert {"mAP", "bbox/AP50", "bbox/AP-car"} <= set(names)
    assert "bbox/AP-cats & dogs" not in names
    assert not [name for name in example.metrics.metric_names(["car"]) if "car" in name]
    assert (example.metrics.source_of("mAP"), example.metrics.source_of("bbox/AP-car")) == ("bbox/AP", "bbox/AP-car")
    with pytest.raises(SystemExit, match=r"'accuracy'.* one of: mAP, bbox/AP,"):
        example.train.require_metric("accuracy", example.coco.open_dataset(folder))


def test_metrics_are_logged_every_so_many_iterations_and_once(example: Any) -> None:
    logged: list[tuple[dict[str, float], int]] = []
    trainer = Trainer(example.hooks.MlflowCurve(2, log=lambda values, step: logged.append((values, step))))
    for loss in (4.0, 3.0, 2.0, 1.0, 0.5):
        trainer.step(total_loss=loss, **{"bbox/AP": 10.0} if loss == 3 else {})
    trainer.end(**{"bbox/AP": 20.0, "bbox/APs": math.nan})
    assert logged == [
        ({"train/total_loss": 3.0, "val/bbox/AP": 10.0}, 1),
        ({"train/total_loss": 1.0}, 3),
        ({"train/total_loss": 0.5}, 4),
        ({"val/bbox/AP": 20.0}, 5),
    ]


def test_the_best_of_all_evaluations_is_kept(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(example.hooks.BestCheckpoint("bbox/AP"))
    trainer.step(total_loss=1.0)
    trainer.step(**{"bbox/AP": math.nan})
    for ap in (10.0, 30.0, 20.0, 30.0):
        trainer.step(**{"bbox/AP": ap})
        trainer.step(total_loss=1.0)
    assert trainer.saved == [("model_best", 2), ("model_best", 4)]
    trainer.end(**{"bbox/AP": 31.0})
    assert trainer.saved[2:] == [("model_best", 10)]
    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()] == [
        "nan",
        "10.00",
        "30.00",
        "20.00",
        "30.00",
        "31.00",
    ]


def test_a_failure_between_two_evaluations_saves_nothing(example: Any) -> None:
    trainer = Trainer(example.hooks.BestCheckpoint("bbox/AP"))
    trainer.step(**{"bbox/AP": 10.0})
    trainer.end()
    assert trainer.saved == [("model_best", 0)]


def test_the_best_checkpoint_is_chosen_and_the_last_one_where_there_is_none(example: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        example.trainer.choose_checkpoint(tmp_path)
    for name in ("model_0000009", "model_final", "model_best"):
        (tmp_path / f"{name}.pth").touch()
        expected = "model_best.pth" if name == "model_best" else "model_final.pth"
        if name != "model_0000009":
            assert example.trainer.choose_checkpoint(tmp_path).name == expected


def test_a_base_model_of_another_project_is_refused(example: Any, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").touch()
    with pytest.raises(FileNotFoundError, match=r"it has no model.pth \(it has: MLmodel\)"):
        example.saved_model.find_weights(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["--dataset_repo", "x", "--lower", "True"], [], ["--dataset_repo", "x", "--dataset_origin", "ftp"]]
)
def test_what_cannot_work_is_refused_at_once(
    example: Any, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        example.train.parse_arguments(arguments)


def test_the_projects_own_address_of_an_archive_will_do(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_uri.json").write_text("{}")
    assert example.train.parse_arguments(["--dataset_origin", "http"]).dataset_repo == "not_used"
