"""Settings of Redis, MLflow, its guard, Flower, the firewall, the doctor and `make up`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.artifact_store import storage_credentials
from deploy.firewall.rules import plan_of
from deploy.flower_dashboard import command as flower_command
from deploy.flower_dashboard import login
from deploy.mlflow_guard.upstream import Upstream
from deploy.mlflow_server import answered, backend_store
from deploy.mlflow_server import command as mlflow_command
from deploy.one_machine.plan import settings_in
from shared.links import Links
from shared.live_secrets import environment
from shared.queue import make_celery
from shared.settings import Settings
from tests.unit.shared.settings.effects.effect import Effect
from worker.doctor.backups import check_backup
from worker.doctor.own_settings import as_make_up_has_it
from worker.runners.docker.inside import tracking_uri_in_containers

LATER = datetime.now(UTC) + timedelta(days=3)


def upstream(settings: Settings) -> Any:
    """To where the guard passes requests on, and with which login."""
    guarded = Upstream(settings)
    return guarded._base, guarded._credentials


def redis_of_make_up(settings: Settings) -> str:
    """Where the doctor looks for the Redis that make up starts."""
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "redis-password").write_text("p")
    return as_make_up_has_it(settings).redis_url.get_secret_value()


def networks(_settings: Settings) -> Any:
    """What the firewall lets through; it reads the environment, which make up fills from .env."""
    return plan_of({"TRAINING_BRIDGE": "bridge", **settings_in(environment())}).networks


def backup(settings: Settings) -> list[str]:
    settings.data_dir.mkdir(exist_ok=True)
    (settings.data_dir / "jobs.db").touch()
    return [finding.state for finding in check_backup(settings, LATER)]


def redis_address(settings: Settings) -> str:
    return str(make_celery(settings, with_results=False).conf.broker_url)


EFFECTS = {
    "redis_url": Effect("redis://redis.example:6379/0", redis_address),
    "redis_port": Effect("6309", redis_of_make_up),
    "mlflow_tracking_uri": Effect("http://mlflow.example:5007", upstream),
    "mlflow_tracking_username": Effect("bot", upstream),
    "mlflow_tracking_password": Effect("p", upstream),
    "mlflow_public_url": Effect("https://mlflow.example", lambda s: Links.of(s).mlflow),
    "mlflow_server_host": Effect("0.0.0.0", mlflow_command),
    "mlflow_allowed_hosts": Effect("mlflow.example:5007", answered),
    "mlflow_database_url": Effect("postgresql://h/mlflow", backend_store),
    "artifacts_destination": Effect("wasbs://c@a.blob.core.windows.net/x", mlflow_command),
    "azure_storage_access_key": Effect("key==", storage_credentials),
    "azure_storage_connection_string": Effect("AccountName=a", storage_credentials),
    "tracking_guard_uri": Effect("http://guard:5007", tracking_uri_in_containers),
    "tracking_guard_key": Effect("key", lambda s: s.attempt_key()),
    "container_tracking_uri": Effect("http://mlflow.example:5007", tracking_uri_in_containers),
    "flower_url": Effect("http://127.0.0.1:5556", flower_command),
    "flower_host": Effect("0.0.0.0", flower_command),
    "flower_basic_auth": Effect("admin:p", login),
    "training_allowed_networks": Effect("10.1.2.0/24", networks),
    "backup_max_age_days": Effect("1", backup),
}
