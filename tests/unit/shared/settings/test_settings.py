"""Settings from the environment: names, defaults, and a start that stops with the variable's name."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from deploy.artifact_store import storage_credentials
from shared.alerts.kinds import kinds
from shared.errors import ConfigurationError, FailureType
from shared.jobs.model import RetryPolicy
from shared.requests.parts import Retry
from shared.scheduling.limits import Limits
from shared.secrets.vault import JobSecrets
from shared.settings import Settings

SECRETS = {
    "DATABASE_URL": "postgresql://user:hunter2@db.example/jobs",
    "REDIS_URL": "redis://:hunter2@redis.example/0",
    "MLFLOW_TRACKING_PASSWORD": "hunter2",
    "AZURE_STORAGE_ACCESS_KEY": "hunter2",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=hunter2",
    "API_TOKENS": "hunter2,other-hunter2",
    "SECRET_KEY": "hunter2",
    "WEBHOOK_URL": "https://discord.example/api/webhooks/1/hunter2",
    "ALERT_WEBHOOKS": "team-a=discord:https://discord.example/api/webhooks/1/hunter2",
}


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's variables nor its .env."""
    monkeypatch.chdir(tmp_path)
    channels = [name for kind in kinds().values() for name in kind.model_fields]
    for name in (*Settings.model_fields, *channels):
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("webhook_url", "WEBHOOK_URL"):
        monkeypatch.delenv(name, raising=False)


def _load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def test_every_default_works_without_any_variable() -> None:
    settings = Settings.load()
    assert (settings.api_port, settings.runner) == (5005, "docker")
    assert settings.worker_queues == {"default"}
    assert settings.mlflow_tracking_uri == "http://127.0.0.1:5007"
    assert not settings.serves_public_address


def test_no_secret_has_a_default() -> None:
    settings = Settings.load()
    secrets = [settings.secret_key, settings.mlflow_tracking_password, settings.azure_storage_access_key]
    secrets.append(settings.azure_storage_connection_string)
    assert [secret.get_secret_value() for secret in secrets] == ["", "", "", ""]
    assert settings.api_tokens == ()


def test_the_predecessors_env_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'MLFLOW_TRACKING_URI="http://mlflow.example:5007"\n'
        'AZURE_STORAGE_ACCESS_KEY="key=="\n'
        'webhook_url="https://discord.example/api/webhooks/1/x"\n'
    )
    settings = Settings.load()
    assert settings.mlflow_tracking_uri == "http://mlflow.example:5007"
    assert settings.azure_storage_access_key.get_secret_value() == "key=="
    assert settings.destinations.by_name["discord"].address == "https://discord.example/api/webhooks/1/x"


def test_the_mlflow_server_is_given_what_opens_its_artifacts_and_only_what_is_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('AZURE_STORAGE_CONNECTION_STRING="BlobEndpoint=http://store:10000"\n')
    assert storage_credentials(Settings.load()) == {
        "AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=http://store:10000"
    }
    (tmp_path / ".env").write_text('AZURE_STORAGE_ACCESS_KEY="key=="\n')
    assert storage_credentials(Settings.load()) == {"AZURE_STORAGE_ACCESS_KEY": "key=="}


def test_the_predecessors_example_file_with_its_empty_strings_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('MLFLOW_TRACKING_URI=""\nAZURE_STORAGE_ACCESS_KEY=""\nwebhook_url=""\n')
    assert Settings.load().model_dump() == Settings().model_dump()
    assert Settings.load().mlflow_tracking_uri == "http://127.0.0.1:5007"


def test_both_names_of_the_webhook_work_and_ours_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _load(monkeypatch, webhook_url="https://old.example").destinations.by_name["discord"].address == (
        "https://old.example"
    )
    both = _load(monkeypatch, DISCORD_WEBHOOK_URL="https://new.example")
    assert both.destinations.by_name["discord"].address == "https://new.example"


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, API_PORT="", WORKER_QUEUES="", RETRY_ON="", SECRET_KEY_FILE="", RUNNER="")
    assert (settings.api_port, settings.runner) == (5005, "docker")
    assert settings.worker_queues == {"default"}
    assert settings.retry_on == {FailureType.INFRASTRUCTURE}
    assert settings.secret_key_file is None


def test_the_environment_wins_over_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("API_PORT=6000\nSLOTS=3\nSOMETHING_ELSE=1\n")
    settings = _load(monkeypatch, API_PORT="7000")
    assert (settings.api_port, settings.slots) == (7000, 3)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, WORKER_QUEUES=" gpu, cpu ,", RETRY_ON="infrastructure,timeout", API_TOKENS="a, b")
    assert settings.worker_queues == {"gpu", "cpu"}
    assert settings.retry_on == {FailureType.INFRASTRUCTURE, FailureType.TIMEOUT}
    assert [token.get_secret_value() for token in settings.api_tokens] == ["a", "b"]


def test_limits_are_read_with_patterns_whose_keys_may_hold_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = " model:huge-*=1, experiment:*=4 ,a=b=2,"
    settings = _load(monkeypatch, LIMITS_BY_KEY=pairs, LIMIT_PER_KEY="3", LIMIT_TOTAL="20")
    assert settings.limits.by_key == (("model:huge-*", 1), ("experiment:*", 4), ("a=b", 2))
    keys = ("model:huge-7", "experiment:iris", "a=b", "model:iris")
    assert [settings.limits.for_key(key) for key in keys] == [1, 4, 2, 3]
    assert settings.limits.total == 20


def test_without_settings_one_job_of_a_key_runs_and_nothing_else_is_limited_or_deleted() -> None:
    settings = Settings.load()
    assert settings.limits == Limits(1, (), None, reserve_gpus_after_seconds=600, waiting_per_caller=10_000)
    assert (settings.retention_days, settings.host_lost_after_seconds, settings.retrain_gpus) == (None, 900, "")


def test_how_long_gpus_are_kept_free_is_part_of_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, GPU_RESERVE_AFTER_SECONDS="5", RETENTION_DAYS="0.5", RETRAIN_GPUS="GPU-1a:0/1,2")
    assert settings.limits.reserve_gpus_after_seconds == 5
    assert (settings.retention_days, settings.retrain_gpus) == (0.5, "GPU-1a:0/1,2")


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("LIMITS_BY_KEY", "model:iris", "pattern=number"),
        ("LIMITS_BY_KEY", "experiment:*=x", "pattern=number"),
        ("LIMITS_BY_KEY", "experiment:*=0", "pattern=number"),
        ("LIMITS_BY_KEY", "=3", "pattern=number"),
        ("LIMITS_BY_KEY", "a=1,=3", "such as experiment:*=4"),
        ("ALERT_WEBHOOKS", "https://discord.example/api/webhooks/1/hunter2", "name=discord:https"),
        ("ALERT_WEBHOOKS", "team-a=https://discord.example/hunter2", "name=discord:https"),
        ("ALERT_WEBHOOKS", "team-a=json:ftp://hunter2", "name=discord:https"),
        ("ALERT_WEBHOOKS", "team-a=json:https://[hunter2", "name=discord:https"),
        ("ALERT_WEBHOOKS", "a=json:https://hunter2,a=json:https://x", "one name to two"),
        ("LIMIT_TOTAL", "0", "greater than or equal to 1"),
        ("RETRAIN_GPUS", "0;rm", "match pattern"),
        ("HOST_LOST_AFTER_SECONDS", "0", "greater than 0"),
        ("RETENTION_DAYS", "0", "greater than 0"),
        ("MIRROR_DAYS", "inf", "finite"),
        ("DISK_LOW_BYTES", "-1", "greater than or equal to 0"),
        ("API_PORT", "hunter2", "integer"),
        ("API_PORT", "70000", "65535"),
        ("RUNNER", "pod man", "match pattern"),
        ("SLOTS", "0", "greater than or equal to 1"),
        ("LEASE_SECONDS", "1", "greater than or equal to 3"),
        ("RETRY_ON", "user_error,weather", "'user_error', 'infrastructure'"),
        ("RETRY_MAX_ATTEMPTS", "21", "less than or equal to 20"),
        ("LOG_LEVEL", "loud", "'DEBUG'"),
        ("RUN_TIMEOUT_SECONDS", "nan", "finite"),
        ("QUEUE_TIMEOUT_SECONDS", "inf", "finite"),
        ("QUEUE_TIMEOUT_SECONDS", "1e12", "less than or equal to 100000000"),
    ],
)
def test_a_wrong_value_stops_the_start_with_the_variables_name_and_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, what: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(monkeypatch, **{name: value})
    assert f"{name}: " in caught.value.message
    assert what in caught.value.message
    assert value not in caught.value.message or value.isdigit()


def test_all_wrong_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"API_PORT: .*SLOTS: "):
        _load(monkeypatch, API_PORT="x", SLOTS="y")


def test_secrets_show_in_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _load(monkeypatch, **SECRETS)
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "hunter2" not in text


def test_a_wrong_setting_shows_no_secret_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _load(monkeypatch, **SECRETS, API_PORT="x")
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("sqlite:////srv/jobs.db", "sqlite:////srv/jobs.db"),
    ],
)
def test_the_store_url_names_the_driver_that_we_ship(monkeypatch: pytest.MonkeyPatch, given: str, used: str) -> None:
    assert _load(monkeypatch, DATABASE_URL=given).store_url == used


def test_without_a_database_url_the_store_is_a_file_in_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert _load(monkeypatch, DATA_DIR="kept").store_url == f"sqlite:///{tmp_path}/kept/jobs.db"


@pytest.mark.parametrize(
    ("host", "public"), [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("::", True)]
)
def test_an_address_is_public_unless_it_is_loopback(monkeypatch: pytest.MonkeyPatch, host: str, public: bool) -> None:
    assert _load(monkeypatch, API_HOST=host).serves_public_address is public


def test_the_vault_uses_the_key_or_the_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Settings.load().vault()
    assert (tmp_path / ".data" / "secret.key").is_file()
    key = Fernet.generate_key().decode()
    by_key = _load(monkeypatch, SECRET_KEY=key).vault()
    assert by_key.open(by_key.seal(JobSecrets())) == JobSecrets()


def test_a_key_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        _load(monkeypatch, SECRET_KEY="hunter2").vault()


@pytest.mark.parametrize(
    ("wishes", "changed"),
    [
        ({}, {}),
        ({"max_attempts": 1}, {"max_attempts": 1}),
        ({"on": ["timeout"]}, {"on": frozenset({FailureType.TIMEOUT})}),
        ({"on": []}, {"on": frozenset()}),
        ({"initial_delay_seconds": 0}, {"initial_delay_seconds": 0}),
        ({"max_delay_seconds": 7}, {"max_delay_seconds": 7}),
    ],
)
def test_a_requests_wishes_win_over_the_services_defaults(wishes: dict[str, Any], changed: dict[str, Any]) -> None:
    usual = {
        "max_attempts": 3,
        "on": frozenset({FailureType.INFRASTRUCTURE}),
        "initial_delay_seconds": 5,
        "max_delay_seconds": 300,
    }
    assert Settings.load().retry_policy(Retry.model_validate(wishes)) == RetryPolicy(**{**usual, **changed})


def test_only_credentials_that_are_set_reach_mlflows_client(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().tracking_credentials() == {}
    settings = _load(monkeypatch, MLFLOW_TRACKING_USERNAME="bot", MLFLOW_TRACKING_PASSWORD="hunter2")
    expected = {"MLFLOW_TRACKING_USERNAME": "bot", "MLFLOW_TRACKING_PASSWORD": "hunter2"}
    assert settings.tracking_credentials() == expected


def test_a_named_channel_takes_no_name_that_another_setting_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="another name than discord: DISCORD_WEBHOOK_URL has it") as caught:
        _load(monkeypatch, ALERT_WEBHOOKS="discord=json:https://hunter2", WEBHOOK_URL="https://hunter2")
    assert "hunter2" not in caught.value.message
    monkeypatch.delenv("WEBHOOK_URL")
    assert Settings.load().alert_channels == {"discord"}


def test_a_tilde_in_a_path_is_the_users_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_DIR", "~/jobs")
    monkeypatch.setenv("SECRET_KEY_FILE", "~/secret.key")
    settings = Settings.load(_env_file=None)
    assert (settings.data_dir, settings.secret_key_file) == (tmp_path / "jobs", tmp_path / "secret.key")


def test_the_home_of_nobody_is_refused_with_the_settings_name() -> None:
    with pytest.raises(ConfigurationError, match="DATA_DIR"):
        Settings.load(_env_file=None, data_dir="~no-such-user-here/jobs")


def test_a_service_is_known_by_its_store_and_its_key() -> None:
    def service(store: str = "postgresql://retrain:a@postgres/retrain", key: str = "one") -> str:
        return Settings(_env_file=None, database_url=store, secret_key=key).service_id

    assert service() == service("postgresql://retrain:changed@postgres/retrain") == service(key="one\n")
    assert len({service(), service(key="other"), service("postgresql://retrain:a@elsewhere/retrain")}) == 3
    assert "one" not in service()
