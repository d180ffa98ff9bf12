"""Which of the secrets in the environment each process of the stack gets."""

from collections.abc import Collection, Mapping

from shared.alerts.kinds import kinds
from shared.secrets.files import is_secret, names_of

SECRETS = {  # and which processes need them; of alert channels the API needs to know that there are any
    "ALERT_WEBHOOKS": {"api", "worker"},
    "API_TOKENS": {"api"},
    "AZURE_STORAGE_ACCESS_KEY": {"mlflow"},
    "AZURE_STORAGE_CONNECTION_STRING": {"mlflow"},
    "DATABASE_URL": {"api", "worker"},
    "FLOWER_BASIC_AUTH": {"flower"},
    "MLFLOW_DATABASE_URL": {"mlflow"},
    "MLFLOW_TRACKING_PASSWORD": {"guard", "worker"},
    "REDIS_URL": {"api", "flower", "redis", "worker"},
    "SECRET_KEY": {"api", "worker"},
    "TRACKING_GUARD_KEY": {"guard", "mlflow"},
    "TRACKING_GUARD_KEY_FILE": {"guard", "mlflow"},  # the worker derives what it signs with
}


def environment_of(process: str, environment: Mapping[str, str], *, lent: Collection[str]) -> dict[str, str]:
    """Return the environment without the secrets that this process does not need.

    ``lent``: variables that projects may copy, so that a worker needs them, too.
    """
    known = {**SECRETS, **_secrets_of_channels()}
    business = {**known, **{name: known[name] | {"worker"} for name in lent if name in known}}
    return {name: value for name, value in environment.items() if process in business.get(name.upper(), {process})}


def _secrets_of_channels() -> dict[str, set[str]]:
    """Return the secrets of alert channels; the API must know where alerts can go, but not how to send them."""
    return {
        variable.upper(): {"api", "worker"} if name == kind.switch else {"worker"}
        for kind in kinds().values()
        for name, field in kind.model_fields.items()
        if is_secret(field)
        for variable in names_of(field, name)
    }
