"""What is secret in a process: all of its settings, what it lends, its logins; and what is not."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from shared.live_secrets import redactor_of
from shared.settings import Settings

DISCORD_URL = "https://discord.example/api/webhooks/1/hunter2-token"
HOOK_URL = "https://hooks.example/retrain"


def _settings(**fields: Any) -> Settings:
    return Settings.load(_env_file=None, **fields)


def test_the_token_of_a_named_webhook_shows_in_no_alert() -> None:
    redactor = redactor_of(_settings(alert_webhooks=f"team-a=discord:{DISCORD_URL},ci=json:{HOOK_URL}"), {})
    assert redactor.text(f"hunter2-token {HOOK_URL}") == "*** ***"


def test_every_secret_of_the_settings_is_redacted(tmp_path: Path) -> None:
    settings = _settings(
        data_dir=tmp_path,
        database_url="postgresql://user:p%40ss-hunter[1@db.example/jobs",
        redis_url="redis://:hunter2-redis@redis.example/0",
        mlflow_tracking_password="hunter3-mlflow",
        azure_storage_access_key="hunter4-azure",
        azure_storage_connection_string="AccountKey=hunter10-azure",
        api_tokens="hunter5-token,hunter6-token",
        secret_key="hunter7-key",
        discord_webhook_url=f"{DISCORD_URL}?wait=true",
        alert_webhook_url=f"{HOOK_URL}/hunter8",
        alert_webhook_secret="hunter9-secret",
    )
    said = (
        "p%40ss-hunter[1 p@ss-hunter[1 hunter2-redis hunter3-mlflow hunter4-azure hunter5-token hunter6-token "
        f"hunter7-key hunter2-token {HOOK_URL}/hunter8 hunter9-secret AccountKey=hunter10-azure"
    )
    assert set(redactor_of(settings, {}).text(said).split()) == {"***"}


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"flower_basic_auth": "admin:hunter2-flower"}, "hunter2-flower"),
        ({"azure_storage_connection_string": "AccountName=a;AccountKey=hunter2/key==;X=y"}, "hunter2/key=="),
        (
            {"alert_webhook_url": f"{HOOK_URL}/T0001hunter2-token2?sig=hunter3-query"},
            "T0001hunter2-token2 hunter3-query",
        ),
        ({"mlflow_tracking_uri": "http://user:hunter2-tracking@mlflow"}, "hunter2-tracking"),
        ({"artifacts_destination": "wasbs://c@a.blob.example/x?sv=1&sig=hunter2%2Fsas"}, "hunter2/sas hunter2%2Fsas"),
    ],
)
def test_the_part_of_a_setting_that_is_secret_by_itself_is_redacted(field: dict[str, str], said: str) -> None:
    assert set(redactor_of(_settings(**field), {}).text(said).split()) == {"***"}


def test_a_key_in_a_file_is_redacted(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("hunter2-in-a-file\n")
    assert redactor_of(_settings(data_dir=tmp_path), {}).text("hunter2-in-a-file") == "***"


LENT: dict[str, Any] = {
    "DATA_KEY": "hunter2-data",
    "PIN": "k3y!z",
    "DATA_URL": "https://user:hunter3-url@data.example/x",
    "AZURE": "AccountName=a;AccountKey=hunter4-azure",
    "GOOGLE": json.dumps({"private_key": "-----BEGIN-----\nhunter5-google\n", "client_email": "a@b"}),
}


def test_what_is_lent_is_redacted_whole_and_in_its_parts() -> None:
    redactor = redactor_of(_settings(project_env_allowlist=",".join(LENT)), LENT)
    said = " ".join(["hunter2-data k3y!z hunter3-url hunter4-azure hunter5-google", LENT["DATA_URL"]])
    assert set(redactor.text(said).split()) == {"***"}


def test_a_secret_of_the_workers_own_environment_is_redacted_too() -> None:
    own = {
        "AWS_SECRET_ACCESS_KEY": "hunter2-aws",
        "HTTPS_PROXY": "http://me:hunter3-proxy@proxy:3128",
        "EDITOR": "vim-9.1a",
    }
    assert redactor_of(_settings(), own).text("hunter2-aws hunter3-proxy vim-9.1a") == "*** *** vim-9.1a"


@pytest.mark.parametrize("value", ["1", "true", "main", "info", "20261", "eu", "/usr/bin"])
def test_a_word_a_number_or_a_place_that_is_lent_is_no_secret(value: str) -> None:
    redactor = redactor_of(_settings(project_env_allowlist="FLAG"), {"FLAG": value})
    assert redactor.text(f"a {value} b") == f"a {value} b"


def test_what_runtimes_need_is_no_secret() -> None:
    lent = {"LANG": "en_US.UTF-8", "PATH": "/opt/no/such/bin", "NVIDIA_VISIBLE_DEVICES": "GPU-12345678"}
    redactor = redactor_of(_settings(project_env_allowlist=",".join(lent)), lent)
    assert redactor.text(" ".join(lent.values())) == " ".join(lent.values())


@pytest.mark.parametrize("variable", ["HOME", "DOCKER_CONFIG"])
def test_logins_of_registries_are_redacted(tmp_path: Path, variable: str) -> None:
    folder = tmp_path / ".docker" if variable == "HOME" else tmp_path
    folder.mkdir(exist_ok=True)
    pair = base64.b64encode(b"robot:hunter2-registry").decode()
    logins = {"a.example": {"auth": pair}, "b.example": {"identitytoken": "hunter3-identity"}, "c.example": {}}
    (folder / "config.json").write_text(json.dumps({"auths": logins}))
    redactor = redactor_of(_settings(), {variable: str(tmp_path)})
    assert set(redactor.text(f"hunter2-registry {pair} hunter3-identity").split()) == {"***"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"auths": {"a": {"auth": "%"}}}', '{"auths": [1]}'])
def test_a_file_of_logins_that_is_none_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert redactor_of(_settings(), {"DOCKER_CONFIG": str(tmp_path)}).text("as it was") == "as it was"


def test_an_address_without_a_login_is_no_secret() -> None:
    address = "redis://127.0.0.1:6389/0"
    assert redactor_of(_settings(redis_url=address), {}).text(address) == address
