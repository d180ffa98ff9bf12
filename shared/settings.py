"""All settings, from the environment and .env, read once at the start and passed in; and what follows from them."""

import hashlib
import hmac
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr, ValidationInfo, field_validator

from shared.alerts.destinations import Destinations
from shared.alerts.model import Alerting
from shared.jobs.model import RetryPolicy
from shared.own_addresses import is_loopback
from shared.requests.parts import Retry
from shared.scheduling.limits import Limits
from shared.secrets.attempt_key import attempt_key
from shared.secrets.keys import keys_in
from shared.secrets.vault import Vault
from shared.variables import Variables

WRONG_IN_PATHS = "?#"


class Settings(Variables):
    """The variables of this process, and what follows from them."""

    _destinations: Destinations = PrivateAttr(default_factory=Destinations)

    @field_validator(
        "credentials_file",
        "data_dir",
        "secret_key_file",
        "training_firewall_file",
        "alert_secrets_folder",
        "triggers_dir",
        "policy_file",
    )
    @classmethod
    def _tilde_is_the_users_home(cls, value: Path | None) -> Path | None:
        """Expand it as a shell does: in .env and in a unit file no shell has."""
        try:
            return value.expanduser() if value is not None else None
        except RuntimeError as error:
            raise ValueError(f"names the home of a user who is not here: {value}") from error

    @field_validator("data_dir")
    @classmethod
    def _fits_into_addresses(cls, value: Path) -> Path:
        """Refuse what the address of a database could not hold."""
        used = set(str(value.absolute()))
        if wrong := sorted(each for each in used if each in WRONG_IN_PATHS or not each.isprintable()):
            raise ValueError(f"must be a folder without {' '.join(map(ascii, wrong))} in its path")
        return value

    @field_validator("alert_secrets_folder")
    @classmethod
    def _is_folder(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"there is no folder {value}")
        return value

    @field_validator("host_lost_after_seconds")
    @classmethod
    def _no_host_is_lost_between_two_signs_of_life(cls, value: float, others: ValidationInfo) -> float:
        least = max(2 * others.data.get("lease_seconds", 0), 6 * others.data.get("sweep_seconds", 0))
        if value < least:
            raise ValueError(f"must be at least {least:g}: twice LEASE_SECONDS, and six times SWEEP_SECONDS")
        return value

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; ConfigurationError names each wrong variable and what would be right."""
        settings = super().load(**overrides)
        settings._destinations = Destinations.load(
            settings.alert_webhooks, _secrets_dir=settings.alert_secrets_folder, **overrides
        )
        return settings

    @property
    def destinations(self) -> Destinations:
        """Where alerts can go."""
        return self._destinations

    @cached_property
    def store_url(self) -> str:
        """The job store's SQLAlchemy URL, with the driver that we ship."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{self.data_dir.resolve() / 'jobs.db'}"
        scheme, _, rest = url.partition("://")
        return f"postgresql+psycopg://{rest}" if scheme.lower() in ("postgres", "postgresql") else url

    @property
    def store_place(self) -> str:
        """Where the job store is, without a login."""
        scheme, _, rest = self.store_url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    @property
    def service_id(self) -> str:
        """The same for all that share a job store and the secret key: tells two services on one host apart.

        Each stack of containers calls its database by the same name, so the address alone does not. Its password is no
        part, and the key cannot be told from the result.
        """
        oldest = keys_in(self._secret_key().decode())[:1] or ("",)  # of two while it is rotated
        return hmac.new(oldest[0].encode(), self.store_place.encode(), hashlib.sha256).hexdigest()[:16]

    @property
    def serves_public_address(self) -> bool:
        """Whether other machines can reach the API."""
        return not is_loopback(self.api_host)

    def vault(self) -> Vault:
        """Return the vault with the configured key."""
        if self.secret_key:
            return Vault(*(key.encode() for key in keys_in(self.secret_key.get_secret_value())))
        return Vault.from_file(self._key_file)

    def attempt_key(self) -> str:
        """Return the key of attempts' tokens, or both while it is rotated."""
        return self.tracking_guard_key.get_secret_value() or attempt_key(self._secret_key().decode())

    def _secret_key(self) -> bytes:
        if key := self.secret_key.get_secret_value():
            return key.encode()
        return Vault.key_in(self._key_file)

    @property
    def _key_file(self) -> Path:
        return self.secret_key_file or self.data_dir / "secret.key"

    def retry_policy(self, request: Retry) -> RetryPolicy:
        """Return the request's retry settings over the service's defaults."""

        def chosen(wish: Any, default: Any) -> Any:
            return default if wish is None else wish

        return RetryPolicy(
            max_attempts=chosen(request.max_attempts, self.retry_max_attempts),
            on=chosen(request.on, self.retry_on),
            initial_delay_seconds=chosen(request.initial_delay_seconds, self.retry_initial_delay_seconds),
            max_delay_seconds=chosen(request.max_delay_seconds, self.retry_max_delay_seconds),
        )

    @property
    def limits(self) -> Limits:
        """How much may run or wait at the same time."""
        return Limits(
            self.limit_per_key,
            self.limits_by_key,
            self.limit_total,
            self.gpu_reserve_after_seconds,
            self.caller_jobs_queued or None,
        )

    @property
    def alerting(self) -> Alerting:
        """What is told of a job that asks for nothing else, and where."""
        return Alerting(self.alert_events, self.destinations.defaults)

    @property
    def alert_channels(self) -> frozenset[str]:
        """What a request may name: the channels with names, and those of all jobs where they are set up."""
        return frozenset(self.destinations.by_name)

    @property
    def disk_stop_below(self) -> int:
        """With less free disk, training is stopped."""
        return self.disk_low_bytes // 2 if self.disk_stop_bytes is None else self.disk_stop_bytes

    @property
    def freeze_after_seconds(self) -> float:
        """A worker that is cut off freezes its training before others may give its host up."""
        return self.host_lost_after_seconds * 2 / 3

    def tracking_credentials(self) -> dict[str, str]:
        """MLflow's own variables for user and password, where they are set."""
        password = self.mlflow_tracking_password.get_secret_value()
        both = {"MLFLOW_TRACKING_USERNAME": self.mlflow_tracking_username, "MLFLOW_TRACKING_PASSWORD": password}
        return {name: value for name, value in both.items() if value}
