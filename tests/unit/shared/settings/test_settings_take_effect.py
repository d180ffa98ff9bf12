"""Each setting counts in the process that it is for, from the environment and from .env. A new one needs a row."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.alerts.kinds import kinds
from shared.settings import Settings
from tests.unit.shared.settings.effects import in_api, in_servers, in_worker
from tests.unit.shared.settings.effects.effect import Effect

TABLE = {**in_api.EFFECTS, **in_servers.EFFECTS, **in_worker.EFFECTS}

Load = Callable[..., Settings]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, *(field for kind in kinds().values() for field in kind.model_fields)):
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_setting_has_one_row() -> None:
    rows = [*in_api.EFFECTS, *in_servers.EFFECTS, *in_worker.EFFECTS]
    assert sorted(rows) == sorted(Settings.model_fields)


@pytest.mark.parametrize("name", TABLE)
def test_a_setting_counts_from_the_environment_and_from_the_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect, file = TABLE[name], tmp_path / ".env"
    make_files(effect, tmp_path)
    for beside, value in {"DATA_DIR": str(tmp_path / "data"), "WORKER_HOST": "here", **effect.beside}.items():
        if beside != name.upper():
            monkeypatch.setenv(beside, value)
    usual = effect.look(Settings.load())
    changed = effect.value.format(folder=tmp_path)

    file.write_text(f"{name.upper()}={changed}\n")
    from_file = effect.look(Settings.load())
    file.unlink()
    monkeypatch.setenv(name.upper(), changed)
    from_environment = effect.look(Settings.load())

    assert from_file != usual
    assert from_environment == from_file


@pytest.mark.parametrize("name", ["retention_days", "default_gpus", "mlflow_allowed_hosts"])
def test_nothing_changes_without_a_change(name: str, tmp_path: Path) -> None:
    assert TABLE[name].look(Settings.load(data_dir=tmp_path)) == TABLE[name].look(Settings.load(data_dir=tmp_path))


def make_files(effect: Effect, folder: Path) -> None:
    for name, text in effect.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
