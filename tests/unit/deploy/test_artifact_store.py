"""A change of the artifact store is refused while models stand in the old one, until they were copied."""

from pathlib import Path

import pytest

from deploy.artifact_store import copy, refuse_a_silent_change
from shared.errors import ConfigurationError
from shared.settings import Settings

MODEL = "1/models/m-1/artifacts/MLmodel"


def settings(folder: Path, destination: str = "") -> Settings:
    return Settings.load(_env_file=None, data_dir=folder / "data", artifacts_destination=destination)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model where an earlier version, which noted nothing, has put it."""
    path = tmp_path / "data/mlflow/artifacts" / MODEL
    path.parent.mkdir(parents=True)
    path.write_text("a model")
    return path


def test_a_first_start_may_name_any_place_and_a_later_one_the_same(tmp_path: Path) -> None:
    for _ in range(2):
        refuse_a_silent_change(settings(tmp_path, str(tmp_path / "elsewhere")))


def test_another_place_is_refused_while_models_stand_in_the_old_one(model: Path, tmp_path: Path) -> None:
    refuse_a_silent_change(settings(tmp_path))
    with pytest.raises(ConfigurationError, match=r"python -m deploy\.artifact_store"):
        refuse_a_silent_change(settings(tmp_path, str(tmp_path / "new")))
    refuse_a_silent_change(settings(tmp_path))
    model.unlink()
    refuse_a_silent_change(settings(tmp_path, str(tmp_path / "new")))


def test_going_back_to_the_default_is_a_change_too(tmp_path: Path) -> None:
    new = tmp_path / "new"
    refuse_a_silent_change(settings(tmp_path, str(new)))
    new.mkdir()
    (new / "model").touch()
    with pytest.raises(ConfigurationError, match=str(new)):
        refuse_a_silent_change(settings(tmp_path))


def test_a_place_that_cannot_be_asked_is_taken_for_full(tmp_path: Path) -> None:
    refuse_a_silent_change(settings(tmp_path, "nonsense://somewhere"))
    with pytest.raises(ConfigurationError, match="nonsense"):
        refuse_a_silent_change(settings(tmp_path))


def test_what_was_copied_is_in_the_new_place_and_the_server_starts(model: Path, tmp_path: Path) -> None:
    wanted = settings(tmp_path, str(tmp_path / "new"))
    assert copy(wanted) == (1, 1)
    assert (tmp_path / "new" / MODEL).read_text() == model.read_text()
    refuse_a_silent_change(wanted)


def test_a_copy_that_was_cut_off_is_taken_up_again(model: Path, tmp_path: Path) -> None:
    half = tmp_path / "new" / MODEL
    half.parent.mkdir(parents=True)
    half.write_text("a mo")
    (model.parent / "model.pkl").write_text("weights")
    wanted = settings(tmp_path, str(tmp_path / "new"))
    assert copy(wanted) == (2, 2)
    assert half.read_text() == "a model"
