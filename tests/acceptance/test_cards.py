"""The card of a job, in the run of a real training; MLflow's pages show it where alerts lead to."""

from pathlib import Path

from mlflow.tracking import MlflowClient
from playwright.sync_api import Page

from shared.links import CARD, TRAINING_PAGES
from tests.acceptance.test_promotion import Train, model, train
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until

__all__ = ["model", "train"]
FILES = {"retrain/card.html", "retrain/card.png"}


def run_of_version(mlflow: MlflowClient, name: str, version: str) -> str:
    found: str = mlflow.get_model_version(name, version).run_id  # type: ignore[assignment]
    return found


def files_of(mlflow: MlflowClient, run_id: str) -> set[str]:
    return {each.path for each in mlflow.list_artifacts(run_id, "retrain")}


def test_the_run_of_a_job_whose_model_was_decided_about_has_its_card(
    process_stack: Stack, train: Train, model: str, page: Page, tmp_path: Path
) -> None:
    train(0.9)
    train(0.94)
    mlflow = MlflowClient(process_stack.urls["mlflow"])
    run_id = run_of_version(mlflow, model, "2")
    wait_until(lambda: files_of(mlflow, run_id) >= FILES, timeout_seconds=90, what="a card")

    html = Path(mlflow.download_artifacts(run_id, "retrain/card.html", str(tmp_path))).read_text()
    picture = Path(mlflow.download_artifacts(run_id, "retrain/card.png", str(tmp_path))).read_bytes()
    for told in (f"{model}, version 2", "promoted: 0.94 &gt; 0.9", "champion, version 1", "recall"):
        assert told in html, told
    assert picture.startswith(b"\x89PNG")

    experiment = mlflow.get_run(run_id).info.experiment_id
    run_page = f"{process_stack.urls['mlflow']}/#/experiments/{experiment}/runs/{run_id}"
    page.goto(f"{run_page}/artifacts/{CARD}{TRAINING_PAGES}")
    page.frame_locator("iframe").get_by_role("heading", name=f"{model}, version 2").wait_for()
