"""Models that stand in DATA_DIR are copied to Azure's Blob storage, where MLflow then finds them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import artifact_store
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.support.servers.azurite import Azurite

MODEL = "1/models/m-1/artifacts/MLmodel"


@pytest.fixture(autouse=True)
def umask_is_put_back() -> Iterator[None]:
    """The program sets its own, which would be that of all later tests of this process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_models_move_to_blobs_and_back(
    azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in ((MODEL, "a model"), ("1/r-1/artifacts/retrain/attempt-1.log", "a log")):
        path = tmp_path / "mlflow/artifacts" / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    with azurite.new_container() as container:
        destination = f"wasbs://{container.container_name}@store.blob.core.windows.net/kept"
        for name, value in {
            "DATA_DIR": str(tmp_path),
            "ARTIFACTS_DESTINATION": destination,
            "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["artifact_store"])
        assert artifact_store.main() == 0
        assert "2 files copied; all 2 are in wasbs://" in capsys.readouterr().out
        assert container.download_blob(f"kept/{MODEL}").readall() == b"a model"

        (tmp_path / "mlflow/artifacts" / MODEL).unlink()
        monkeypatch.delenv("ARTIFACTS_DESTINATION")
        with pytest.raises(ConfigurationError, match="wasbs://"):
            artifact_store.refuse_a_silent_change(Settings.load(_env_file=None))
        assert artifact_store.main() == 0
        assert (tmp_path / "mlflow/artifacts" / MODEL).read_text() == "a model"
