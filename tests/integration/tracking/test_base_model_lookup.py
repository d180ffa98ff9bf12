"""What base_model names, in the registry of a real tracking server, before anything trains."""

from dataclasses import dataclass

import pytest
from mlflow.tracking import MlflowClient

from shared.errors import Code, InfrastructureError, UserError
from tests.support.network.ports import free_port
from worker.tracking.client import Tracking

NAME = "looked-up"


@dataclass
class Registry:
    """Two versions of a model, the second with an alias, and the run that made them."""

    tracking: Tracking
    run_id: str


@pytest.fixture(scope="module")
def registry(mlflow_url: str) -> Registry:
    client = MlflowClient(mlflow_url)
    run_id = client.create_run(client.create_experiment(NAME)).info.run_id
    client.create_registered_model(NAME)
    for _ in range(2):
        client.create_model_version(NAME, f"runs:/{run_id}/model", run_id=run_id)
    client.set_registered_model_alias(NAME, "champion", "2")
    return Registry(Tracking(mlflow_url), run_id)


def test_an_alias_and_a_version_are_found_as_a_version(registry: Registry) -> None:
    addresses = [f"models:/{NAME}@champion", f"models:/{NAME}/1", f"models:/{NAME}/01"]
    assert [registry.tracking.find_base_model(each) for each in addresses] == ["2", "1", "1"]


def test_a_run_has_no_version_and_need_not_have_logged_a_model(registry: Registry) -> None:
    assert registry.tracking.find_base_model(registry.run_id) is None


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (f"models:/{NAME}/7", f"model '{NAME}' has no version 7 (it has: versions 2, 1; aliases champion)"),
        (f"models:/{NAME}@best", f"model '{NAME}' has no alias 'best' (it has: versions 2, 1; aliases champion)"),
        (f"models:/{NAME}s@champion", f"there is no model '{NAME}s' (there is: {NAME}"),
        ("models:/it's/1", "there is no model 'it's' (there is: "),
        ("0" * 32, f"there is no run '{'0' * 32}' (registered models: "),
    ],
)
def test_what_is_not_there_is_the_requests_error_and_told_with_what_there_is(
    registry: Registry, address: str, told: str
) -> None:
    with pytest.raises(UserError) as raised:
        registry.tracking.find_base_model(address)
    assert raised.value.code == Code.INVALID_PARAMETER
    assert f"base_model: {told}" in raised.value.message


WORDS = ["None", "", "yolov8n.pt", "/models/7", "models:/iris", "models:/iris/Production", "f" * 40, "models:/m-0/1/2"]


@pytest.mark.parametrize("word", WORDS)
def test_a_projects_own_word_is_not_looked_up(word: str) -> None:
    nowhere = Tracking(f"http://127.0.0.1:{free_port()}")
    assert nowhere.find_base_model(word) is None


def test_a_server_that_is_away_is_no_error_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InfrastructureError) as raised:
        Tracking(f"http://127.0.0.1:{free_port()}").find_base_model(f"models:/{NAME}/1")
    assert raised.value.code == Code.TRACKING_UNAVAILABLE
