"""The settings, one by one: name, type, default and meaning. docs/reference/settings.md is made of them.

Those of training containers are in containers.py, those of the API in shared/api_variables.py.
"""

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from shared.alerts.model import AlertEvent
from shared.alerts.named import NamedChannel, parse_named_channels
from shared.errors import FailureType
from shared.requests.texts import HOST_NAME, Word
from shared.scheduling.leases import LONGEST_LEASE_SECONDS
from shared.setting_types import (
    ListenAddress,
    PublicAddress,
    RedisAddress,
    TrackingAddress,
    Words,
    key_limits,
    split_words,
)
from shared.variables.containers import ContainerVariables


class Variables(ContainerVariables):
    """Each field is one environment variable of the same name in capitals; of secrets also a file, by NAME_FILE."""

    data_dir: Path = Field(Path(".data"), description="Folder for all data that is kept on this machine.")
    database_url: SecretStr = Field(
        SecretStr(""),
        description="Job store, as an SQLAlchemy URL; empty for SQLite in DATA_DIR.",
        examples=["postgresql://…"],
    )
    redis_url: RedisAddress = Field(SecretStr("redis://127.0.0.1:6389/0"), description="Celery's broker and results.")
    redis_port: int = Field(
        6389, ge=1, le=65535, description="Port of the Redis that make up starts; with REDIS_URL it starts none."
    )
    mlflow_tracking_uri: TrackingAddress = Field("http://127.0.0.1:5007", description="MLflow tracking server.")
    mlflow_public_url: PublicAddress = Field(
        "", description="MLflow's address for people, in links; empty for MLFLOW_TRACKING_URI."
    )
    mlflow_tracking_username: str = Field("", description="User name for the tracking server, if it needs one.")
    mlflow_tracking_password: SecretStr = Field(SecretStr(""), description="Password for the tracking server.")
    tracking_guard_uri: str = Field(
        "",
        description="Address of our guard before MLflow, for training containers (set by make up and Compose). "
        "The guard then has the password; training does not.",
    )
    tracking_guard_key: SecretStr = Field(
        SecretStr(""), description="Key of trainings' tokens, made from SECRET_KEY by make up and make secrets."
    )
    mlflow_server_host: ListenAddress = Field("127.0.0.1", description="Address that our MLflow server listens on.")
    mlflow_allowed_hosts: Words = Field(
        frozenset(),
        description="host:port names that MLflow answers to, besides localhost, comma separated.",
    )
    mlflow_database_url: SecretStr = Field(
        SecretStr(""), description="MLflow's database; empty for SQLite in DATA_DIR."
    )
    azure_storage_access_key: SecretStr = Field(
        SecretStr(""), description="Key of the artifact storage; only the MLflow server that make up starts gets it."
    )
    azure_storage_connection_string: SecretStr = Field(
        SecretStr(""), description="Connection string of the artifact storage, instead of the key."
    )
    artifacts_destination: str = Field(
        "", description="Where make up's MLflow server keeps artifacts (wasbs://…); empty for DATA_DIR."
    )
    flower_url: PublicAddress = Field("http://127.0.0.1:5555", description="Flower's address for people.")
    flower_host: ListenAddress = Field(
        "", description="Address that Flower listens on; empty for the one in FLOWER_URL, if that is this machine's."
    )
    flower_basic_auth: SecretStr = Field(SecretStr(""), description="Flower's user:password (make up creates one).")

    secret_key: SecretStr = Field(
        SecretStr(""), description="Fernet key that encrypts credentials in requests; empty for SECRET_KEY_FILE."
    )
    credentials_file: Path | None = Field(
        None,
        description="The operator's own logins for git, registries, data and webhooks; a file of mode 0600.",
        examples=["/etc/retrain/credentials.toml"],
    )
    secret_key_file: Path | None = Field(
        None, description="File with that key, created with mode 0600 if missing; by default secret.key in DATA_DIR."
    )

    runner: str = Field(
        "docker",
        pattern=r"^[a-z][a-z0-9_-]{0,15}$",
        description="docker; process: training as a plain process of the worker's user, without isolation; "
        "or another runner that is installed.",
    )
    worker_host: str = Field(
        default_factory=socket.gethostname,
        pattern=HOST_NAME,
        description="This host's name in the records. Do not change it, or running training is not adopted.",
    )
    worker_queues: Words = Field(frozenset({"default"}), description="Queues that this worker serves, comma separated.")
    worker_labels: Annotated[frozenset[Word], NoDecode, BeforeValidator(split_words)] = Field(
        frozenset(),
        description="Labels of this host that requests may ask for, comma separated; gpu or cpu is automatic.",
        examples=["a100,vision"],
    )
    slots: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Attempts at the same time on this host; empty for one per GPU, and at least 2.",
    )
    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of the worker's own /metrics, for Prometheus; 0 for none (make up: 5006)."
    )
    worker_metrics_host: ListenAddress = Field(
        "127.0.0.1",
        description="Address that the worker's /metrics listens on. It needs no token, so only Prometheus should "
        "reach it.",
    )
    job_cards: bool = Field(
        True,
        description="Whether a job whose model was decided about gets a card in its MLflow run (card.html, card.png).",
    )
    limit_per_key: int = Field(1, ge=1, description="Jobs of one concurrency_key that run at the same time.")
    limits_by_key: Annotated[tuple[tuple[str, int], ...], NoDecode, BeforeValidator(key_limits)] = Field(
        (),
        description="Other limits for matching keys: pattern=number, comma separated; * matches anything; the "
        "first match wins.",
        examples=["model:huge-*=1,experiment:*=4"],
    )
    limit_total: int | None = Field(
        None, ge=1, description="Attempts at the same time on all hosts; empty for no limit."
    )
    retrain_gpus: str = Field(
        "",
        pattern=r"^[A-Za-z0-9:/=_., -]*$",
        description="GPUs of this host: ids or UUIDs, comma separated; empty for all that are found, none to "
        "offer none.",
    )
    gpu_reserve_after_seconds: float = Field(
        600, ge=0, description="After this wait, GPUs are kept free for a job that needs more than are free."
    )
    lease_seconds: float = Field(
        30, ge=3, le=LONGEST_LEASE_SECONDS, description="How long a worker's claim lasts without a heartbeat."
    )
    sweep_seconds: float = Field(5, gt=0, description="Time between two sweeps of a worker.")
    host_lost_after_seconds: float = Field(
        900, gt=0, description="After this silence, a host's jobs go to other hosts, as new attempts."
    )
    resend_after_seconds: float = Field(15, gt=0, description="A message that no worker took by then is sent again.")
    stop_grace_seconds: float = Field(10, ge=0, description="Time between SIGTERM and SIGKILL for a container.")

    project_env_allowlist: Words = Field(
        frozenset(), description="Variables of the worker that a project's docker_env may copy."
    )
    volume_allowlist: Words = Field(frozenset(), description="Host folders that a project's docker_env may mount.")
    trigger_folders: Words = Field(
        frozenset(),
        description="Folders below which triggers may look at data (file:///folder), comma separated; the same ones on "
        "every worker's host.",
        examples=["/srv/data"],
    )

    git_schemes: Words = Field(
        frozenset({"https", "ssh"}),
        description="Allowed schemes of git_uri: https, ssh; http and file at your own risk.",
    )
    git_hosts: Words = Field(
        frozenset(),
        description="Allowed hosts of git_uri, comma separated; empty for all except those inside the service's "
        "own network.",
    )
    git_private_networks: bool = Field(
        False,
        description="With GIT_HOSTS empty: whether hosts at private addresses (10.0.0.0/8 …) are allowed as well "
        "(make up without API_TOKENS: true).",
    )
    source_max_files: int = Field(
        200_000,
        ge=1,
        description="Files and folders that a repository with its submodules may have; a larger one is refused.",
    )
    source_max_bytes: int = Field(
        10**10,
        ge=10**6,
        description="Size of a repository with its submodules and Git LFS files; a larger one is refused.",
    )

    queue_timeout_seconds: float = Field(
        7 * 86400, gt=0, le=10**8, description="Longest wait in the queue; then the job fails (QUEUE_TIMEOUT)."
    )
    run_timeout_seconds: float = Field(
        7 * 86400, gt=0, le=10**8, description="Longest training; then it is stopped (RUN_TIMEOUT)."
    )
    git_timeout_seconds: float = Field(600, gt=0, description="Longest time for fetching the source.")
    pull_timeout_seconds: float = Field(1800, gt=0, description="Longest time for pulling an image.")
    retry_max_attempts: int = Field(3, ge=1, le=20, description="Attempts of a job in total.")
    retry_on: Annotated[frozenset[FailureType], NoDecode, BeforeValidator(split_words)] = Field(
        frozenset({FailureType.INFRASTRUCTURE}), description="Types of failure that are retried."
    )
    retry_initial_delay_seconds: float = Field(
        5, ge=0, description="Upper bound of the first delay before a retry; it doubles each time."
    )
    retry_max_delay_seconds: float = Field(300, ge=0, description="Upper bound of all delays before a retry.")
    log_limit_bytes: int = Field(
        50_000_000, ge=1000, description="Output kept of one attempt; the rest is cut, with a note."
    )
    log_flood_factor: int = Field(
        20, ge=2, description="Training that prints this many times LOG_LIMIT_BYTES is stopped (LOG_FLOOD)."
    )
    retention_days: float | None = Field(
        None, gt=0, description="Ended jobs and their logs are deleted after this many days; empty to keep them."
    )
    mirror_days: float = Field(30, gt=0, description="Repository mirrors that no job used for this long are deleted.")
    disk_low_bytes: int = Field(
        2 * 10**9,
        ge=0,
        description="Below this much free disk, caches and pulled images are deleted, and no attempt starts.",
    )
    backup_max_age_days: float = Field(
        7,
        ge=0,
        description="The doctor warns if the last make backup is older; 0 if the records are saved in another way.",
    )
    disk_stop_bytes: int | None = Field(
        None,
        ge=0,
        description="Below this much free disk, the attempt that has written most is stopped; empty for half of "
        "DISK_LOW_BYTES.",
    )
    attempt_disk_bytes: int | None = Field(
        None,
        ge=10**6,
        description="An attempt that has written more is stopped; empty for the disk's size divided by slots.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Log level.")
    log_format: Literal["text", "json"] = Field(
        "text", description="Log format: text for people, or json: one JSON object per line, for programs."
    )
    alert_webhooks: Annotated[tuple[NamedChannel, ...], NoDecode, BeforeValidator(parse_named_channels)] = Field(
        (),
        description="Named channels that requests may use in alerts.to: name=kind:address, comma separated, such as "
        "team-a=discord:https://… or ci=json:https://….",
        examples=["team-a=discord:https://…,ci=json:https://…"],
    )
    alert_secrets_folder: Path | None = Field(
        None,
        description="Folder of files with secrets of alert channels, each with its setting's name in small letters; "
        "empty for none.",
    )
    alert_events: Annotated[frozenset[AlertEvent], NoDecode, BeforeValidator(split_words)] = Field(
        frozenset(AlertEvent) - {AlertEvent.ADOPTED},
        description="Events that alerts tell about, comma separated; adopted: a worker died, its attempt continues; "
        "champion_changed: an alias moved, whoever did it; approval_wanted: a model waits for a person.",
    )
