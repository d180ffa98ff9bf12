"""examples/detectron2-retrain through the API, on a twin of detectron2, which has no package to install here."""

import shutil
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import tests.support
from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import repository
from tests.support.projects.coco_dataset import write_dataset
from tests.support.servers.file_server import FileServer
from tests.support.servers.stack import Stack

EXAMPLE = ROOT / "examples" / "detectron2-retrain"
TWIN = Path(tests.support.__file__).parent / "detectron2_twin"
PARAMETERS = {"dataset_origin": "http", "device": "cpu", "epochs": 3, "log_every": 2, "learning_rate": 0.05}


@dataclass(frozen=True)
class Trained:
    """Three jobs of one model: from the zoo, further from the champion, and too fast, so that it gets worse."""

    first: dict[str, Any]
    further: dict[str, Any]
    spoilt: dict[str, Any]

    @property
    def model(self) -> str:
        """Its name in the registry."""
        return str(self.first["model"]["name"])

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """All three, in their order."""
        return [self.first, self.further, self.spoilt]


@pytest.fixture(scope="module")
def git_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example with the twin next to its train.py, where Python looks first."""
    files = {file.name: file.read_text() for file in EXAMPLE.iterdir() if file.is_file()}
    twin = [file for file in (TWIN / "detectron2").rglob("*") if file.suffix in (".py", ".yaml")]
    files |= {file.relative_to(TWIN).as_posix(): file.read_text() for file in twin}
    return repository(tmp_path_factory.mktemp("project") / "example", files)


@pytest.fixture(scope="module")
def dataset_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder / "content" / "vehicles")
    archive = Path(shutil.make_archive(str(folder / "vehicles"), "zip", folder / "content"))
    with FileServer({"/vehicles.zip": archive.read_bytes()}) as server:
        yield f"{server.url}/vehicles.zip"


@pytest.fixture(scope="module")
def trained(process_stack: Stack, git_uri: str, dataset_url: str) -> Trained:
    model = f"detector-{uuid.uuid4().hex[:8]}"
    champion = f"models:/{model}@champion"

    def train(base_model: str, **changed: Any) -> dict[str, Any]:
        body = {"experiment_name": "detectron2-retrain", "git_uri": git_uri, "model_name": model}
        body |= {"dataset_repo": dataset_url, "base_model": base_model}
        job = process_stack.wait(process_stack.post({**body, "parameters": PARAMETERS | changed}))
        assert job["state"] == "succeeded", (job["reason"], process_stack.job_log(job))
        return job

    return Trained(train("None"), train(champion), train(champion, learning_rate=2.05))


@pytest.fixture
def client(process_stack: Stack) -> MlflowClient:
    return MlflowClient(process_stack.urls["mlflow"])


@pytest.fixture
def detectron2(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The twin, in this process."""
    monkeypatch.syspath_prepend(TWIN)
    yield
    for name in [each for each in sys.modules if each.partition(".")[0] in ("detectron2", "detector")]:
        del sys.modules[name]


def test_a_detector_trained_further_is_the_champion_and_one_that_got_worse_is_not(
    trained: Trained, client: MlflowClient
) -> None:
    assert [job["promotion"]["promoted"] for job in trained.jobs] == [True, True, False]
    assert trained.first["promotion"]["reason"].startswith(f"promoted: first version of '{trained.model}' (mAP ")
    assert trained.further["promotion"]["reason"].endswith("(same evaluation data)")
    champion = client.get_model_version_by_alias(trained.model, "champion")
    assert (str(champion.version), champion.run_id) == ("2", trained.further["mlflow"]["run_id"])
    assert champion.tags["retrain.job_id"] == trained.further["id"]
    assert len(client.search_model_versions(f"name='{trained.model}'")) == 2


def test_a_job_says_what_it_was_trained_on_and_from(trained: Trained, dataset_url: str) -> None:
    assert {job["resolved"]["dataset"]["repo"] for job in trained.jobs} == {dataset_url}
    bases = [(job["resolved"]["base_model"] or {}).get("version") for job in trained.jobs]
    assert bases == [None, "1", "2"]


def test_the_run_has_the_configuration_the_curves_and_the_result(trained: Trained, client: MlflowClient) -> None:
    run_id = trained.first["mlflow"]["run_id"]
    run = client.get_run(run_id).data
    assert (run.params["SOLVER.MAX_ITER"], run.params["config"]) == ("9", "COCO-Detection/faster_rcnn_R_50_FPN_3x.yaml")
    assert run.metrics["mAP"] == run.metrics["bbox/AP"] == trained.first["promotion"]["challenger"]
    assert [point.step for point in client.get_metric_history(run_id, "train/total_loss")] == [1, 3, 5, 7, 8]
    assert [point.step for point in client.get_metric_history(run_id, "val/bbox/AP")] == [2, 5, 9]


def test_what_counts_is_the_best_checkpoint_and_not_the_last(
    trained: Trained, client: MlflowClient, process_stack: Stack
) -> None:
    run_id = trained.spoilt["mlflow"]["run_id"]
    first, *later = [point.value for point in client.get_metric_history(run_id, "val/bbox/AP")]
    assert first > max(later)
    assert client.get_run(run_id).data.metrics["mAP"] > max(later)
    assert "model_best.pth on the test images: mAP" in process_stack.job_log(trained.spoilt)


@pytest.mark.filterwarnings(
    "ignore:.*Any type hint is inferred as AnyType:UserWarning"
)  # mlflow.pyfunc's, at its import
@pytest.mark.usefixtures("detectron2")
def test_the_champion_finds_the_boxes_when_it_is_loaded(
    trained: Trained, process_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", process_stack.urls["mlflow"])
    detector = mlflow.pyfunc.load_model(f"models:/{trained.model}@champion")
    (boxes,) = detector.predict([np.zeros((240, 320, 3), dtype=np.uint8)])
    assert [box["class"] for box in boxes] == ["car", "bus"]
    assert boxes[0]["box"] == pytest.approx([100, 60, 140, 80], abs=10)
