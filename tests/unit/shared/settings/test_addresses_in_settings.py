"""Addresses and folders in settings: every form that can work does; the start refuses others, and says what works."""

import re
from pathlib import Path
from typing import Any

import pytest

from shared.addresses.database_url import parse_database_url
from shared.errors import ConfigurationError
from shared.queue import make_celery
from shared.settings import Settings
from shared.sql.engine import create_engine


def settings(**given: Any) -> Settings:
    return Settings.load(_env_file=None, **given)


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("foo", ""),
        ("://", ""),
        ("postgresql://u:hunter2@h:port/db", "hunter2"),
        ("postgresql://u:p@[::1/db", "::1"),
        ("postgresql://u:p@h/d?ssl=true", "p@"),
        ("postgresql://u:p@hunter2@h/d", "hunter2"),
        ("mysql://u:hunter2@h/d", "hunter2"),
        ("sqlite://", ""),
        ("sqlite:///:memory:", ""),
        ("file:///srv/jobs.db", ""),
    ],
)
def test_a_database_address_that_cannot_work_is_refused_without_its_password(url: str, hidden: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^MLFLOW_DATABASE_URL ") as caught:
        parse_database_url(url, "MLFLOW_DATABASE_URL")
    assert not hidden or hidden not in f"{caught.value.message} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("POSTGRESQL://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg://h/d"),
        ("postgresql://[::1]:5433/d?sslmode=require", "postgresql+psycopg://[::1]:5433/d?sslmode=require"),
        ("postgresql:///d?host=/run/postgresql", "postgresql+psycopg:///d?host=%2Frun%2Fpostgresql"),
        ("sqlite+aiosqlite:////srv/jobs.db", "sqlite:////srv/jobs.db"),
    ],
)
def test_a_database_address_is_used_with_the_driver_that_we_ship(url: str, used: str) -> None:
    assert parse_database_url(url).render_as_string(hide_password=False) == used


@pytest.mark.parametrize(
    "url",
    [
        *("redis.example:6379", "http://h/0", "unix:///run/redis.sock", "redis://", "redis://h:port/0", "redis://h/x"),
        *("redis://:p/hunter2@h:1/0", "redis://[::1/0", "redis://:p#hunter2@h:1/0", "redis://:p?hunter2@h:1/0"),
        "redis://:p[hunter2@h:1/0",
    ],
)
def test_a_redis_address_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"REDIS_URL: .*must be redis://:password@host:6379/0") as caught:
        settings(redis_url=url)
    assert "hunter2" not in caught.value.message


def test_a_password_that_is_written_as_the_refusal_says_is_taken() -> None:
    with pytest.raises(ConfigurationError, match="in a password, write") as caught:
        settings(redis_url="redis://:a/b@c#d?e[f@h:1/0")
    told = dict(re.findall(r"(\S) as (%[0-9A-F]{2})", caught.value.message))
    password = "".join(told.get(each, each) for each in "a/b@c#d?e[f")
    app = make_celery(settings(redis_url=f"redis://:{password}@h:1/0"), with_results=True)
    with app.connection_for_write() as connection:
        assert connection.password == "a/b@c#d?e[f"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("redis://[::1]:6380/0", "::1", 6380),
        ("REDIS://h:1/0", "h", 1),
        ("rediss://:p@h:6380/1", "h", 6380),
        ("rediss://h:6380?ssl_cert_reqs=none", "h", 6380),
    ],
)
def test_celery_takes_every_form_of_redis_address(url: str, host: str, port: int) -> None:
    app = make_celery(settings(redis_url=url), with_results=True)
    assert app.backend is not None
    with app.connection_for_write() as connection:
        assert (connection.hostname, connection.port) == (host, port)


@pytest.mark.parametrize(
    ("name", "given", "used"),
    [
        ("api_host", "[::1]", "::1"),
        ("api_host", "0:0:0:0:0:0:0:1", "::1"),
        ("api_host", "gpu-1.example.com", "gpu-1.example.com"),
        ("worker_metrics_host", "[::]", "::"),
        ("mlflow_server_host", "[fe80::1%eth0]", "fe80::1%eth0"),
        ("flower_host", "", ""),
    ],
)
def test_an_address_to_listen_on_may_have_brackets_or_be_a_name(name: str, given: str, used: str) -> None:
    assert getattr(settings(**{name: given}), name) == used


@pytest.mark.parametrize("given", ["0.0.0.0:5005", "http://127.0.0.1", "[::1]:5005", "a b"])
def test_an_address_to_listen_on_has_neither_scheme_nor_port(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"API_HOST: .*without a port"):
        settings(api_host=given, api_tokens="t")


@pytest.mark.parametrize("host", ["127.0.0.2", "LOCALHOST", "[::1]"])
def test_every_form_of_loopback_is_this_machine_alone(host: str) -> None:
    assert not settings(api_host=host).serves_public_address


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("mlflow:5007", "such as http://mlflow:5007"),
        ("localhost:5007/", "its scheme"),
        ("http://", "the address of a server"),
        ("http://[::1", "the address of a server"),
        ("http://h:port", "the address of a server"),
        ("http://h:5007/a b", "take it out"),
        ("http://h:5007\n", "take it out"),
    ],
)
def test_a_tracking_address_that_is_none_is_refused(uri: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"MLFLOW_TRACKING_URI: .*{what}"):
        settings(mlflow_tracking_uri=uri)


@pytest.mark.parametrize(
    "uri", ["http://[::1]:5007", "https://h/mlflow", "sqlite:////srv/m.db", "/srv/ml runs", "databricks"]
)
def test_every_tracking_address_that_mlflow_takes_is_taken(uri: str) -> None:
    assert settings(mlflow_tracking_uri=uri).mlflow_tracking_uri == uri


@pytest.mark.parametrize("character", ["?", "#", "\n", "\x7f"])
def test_a_folder_that_no_database_address_can_hold_is_refused(tmp_path: Path, character: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DATA_DIR: .*must be a folder without"):
        settings(data_dir=tmp_path / f"a{character}b")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"file/jobs, the folder of DATABASE_URL .*cannot be made"):
        create_engine(f"sqlite:///{tmp_path}/file/jobs/jobs.db")
