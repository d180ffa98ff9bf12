"""Secrets in files: NAME_FILE names the file of what NAME would hold."""

from pathlib import Path

import pytest

from shared.alerts.kinds import kinds
from shared.errors import ConfigurationError
from shared.settings import Settings

URL = "postgresql://retrain:hunter2@postgres/retrain"


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's variables nor its .env."""
    monkeypatch.chdir(tmp_path)
    channels = [name for kind in kinds().values() for name in kind.model_fields]
    for name in (*Settings.model_fields, *channels):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.delenv("WEBHOOK_URL", raising=False)


def a_file(folder: Path, content: str) -> str:
    path = folder / "a-secret"
    path.write_text(content)
    return str(path)


def test_a_secret_is_what_stands_in_its_file_without_the_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", a_file(tmp_path, f"{URL}\n"))
    settings = Settings.load()
    assert settings.database_url.get_secret_value() == URL
    assert "database_url" in settings.model_fields_set
    assert "hunter2" not in repr(settings)


def test_lists_of_secrets_are_read_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKENS_FILE", a_file(tmp_path, "one,two\n"))
    assert [token.get_secret_value() for token in Settings.load().api_tokens] == ["one", "two"]


def test_the_env_file_may_name_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"REDIS_URL_FILE={a_file(tmp_path, 'redis://:hunter2@redis/0')}\n")
    assert Settings.load().redis_url.get_secret_value() == "redis://:hunter2@redis/0"


def test_an_empty_file_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_WEBHOOK_URL_FILE", a_file(tmp_path, "\n"))
    assert not Settings.load().alert_channels


def test_what_a_file_says_is_checked_as_what_a_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL_FILE", a_file(tmp_path, "hunter2"))
    with pytest.raises(ConfigurationError, match="ALERT_WEBHOOK_URL: ") as caught:
        Settings.load()
    assert "hunter2" not in caught.value.message


def test_a_file_that_cannot_be_read_stops_the_start_with_the_variables_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"REDIS_URL_FILE: .*none cannot be read: No such file"):
        Settings.load()


@pytest.mark.parametrize("name", ["DISCORD_WEBHOOK_URL", "WEBHOOK_URL"])
def test_a_secret_and_its_file_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "https://discord.example/hunter2")
    monkeypatch.setenv("DISCORD_WEBHOOK_URL_FILE", a_file(tmp_path, "https://discord.example/other"))
    with pytest.raises(ConfigurationError, match=f"{name} and DISCORD_WEBHOOK_URL_FILE are both set"):
        Settings.load()


def test_what_is_no_secret_is_not_read_from_files_and_the_key_file_stays_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path, "6000")
    monkeypatch.setenv("API_PORT_FILE", path)
    monkeypatch.setenv("SECRET_KEY_FILE", path)
    settings = Settings.load()
    assert (settings.api_port, settings.secret_key.get_secret_value()) == (5005, "")
    assert settings.secret_key_file == Path(path)


def test_secrets_of_alert_channels_are_read_from_their_folder_under_the_settings_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "alerts"
    folder.mkdir()
    (folder / "discord_webhook_url").write_text("https://discord.example/hunter2\n")
    (folder / "alert_webhook_url").write_text("\n")
    monkeypatch.setenv("ALERT_SECRETS_FOLDER", str(folder))
    channels = Settings.load().destinations.by_name
    assert {name: each.address for name, each in channels.items()} == {"discord": "https://discord.example/hunter2"}


def test_a_folder_of_secrets_that_is_not_there_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_SECRETS_FOLDER", "none")
    with pytest.raises(ConfigurationError, match=r"ALERT_SECRETS_FOLDER: .*there is no folder none"):
        Settings.load()
