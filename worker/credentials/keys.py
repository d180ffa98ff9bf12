"""Finds what opens what a job names: what came with its request, otherwise what the operator's file has for it."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.addresses.dataset_address import find_repository
from shared.addresses.git_uri import Credentials
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.vault import JobSecrets, Vault
from worker.credentials.credentials_file import NONE, CredentialsFile
from worker.credentials.entries import ANY_USER, Asker, Data, Entry, Named, address_of_image, nearest
from worker.credentials.pulling import Pull

AZURE = "azure://"
IMAGE_ID = re.compile(r"^(sha256:)?[0-9a-f]{1,64}$")  # or its beginning: the engine finds an image by that, too


@dataclass(frozen=True)
class Keys(JobSecrets):
    """What opens what one job names."""

    named: Named = field(default=NONE, repr=False)
    usable: Named = field(default=NONE, repr=False)  # those of the named ones that this job may use

    @property
    def all(self) -> tuple[Credentials, ...]:
        """Everything that its log must not show; what it may not use, too."""
        others = (Credentials("", "", secret) for secret in sorted(self.named.secrets))
        return (*super().all, *(each.credentials for each in self.named.all if any(each.secrets)), *others)

    def account_of(self, address: str | None) -> str:
        """Return the connection string of the account in Azure that the data is in; empty for none."""
        if not address:
            return ""
        if address.startswith(AZURE):
            name = address.removeprefix(AZURE).partition("/")[0]
            found = iter([each for each in self.usable.dataset if each.account == name])
        else:
            found = iter([each for each in nearest(self.usable.dataset, address) if each.account])
        entry: Data | None = next(found, None)
        return entry.connection_string.get_secret_value() if entry else ""

    def of_data(self, address: str | None) -> Credentials | None:
        """Return the login of the repository that data is in: the request's, otherwise the operator's."""
        return self.dataset or _login(self.usable.dataset, _repository(address))

    def to_read_data(self, address: str | None) -> "DataKeys":
        """Return what a training with this data gets."""
        return DataKeys(self.of_data(address), self.account_of(address))

    def pull_of(self, image: str | None) -> Pull:
        """Return how to pull the image.

        What the registry shows only to others must not be had from this host's disk: then the registry is asked.
        """
        address = address_of_image(image or "")
        entry: Entry | None = next(nearest(self.usable.registry, address), None)
        if entry is None:
            is_id = IMAGE_ID.match(image or "") is not None
            withheld = set(self.named.registry) - set(self.usable.registry)
            return Pull(asks_registry=any(nearest(self.named.registry, address)) or (is_id and bool(withheld)))
        return Pull(entry.username or ANY_USER, entry.password.get_secret_value())


@dataclass(frozen=True)
class DataKeys:
    """What a training gets, to read its data: a login for git, a connection string for Azure."""

    login: Credentials | None = None
    account: str = field(default="", repr=False)


NO_DATA_KEYS = DataKeys()


class Keyring:
    """Hands out the keys of jobs and triggers. ``isolated``: whether teams are kept apart."""

    def __init__(self, vault: Vault, file: CredentialsFile | None = None, *, isolated: bool = False) -> None:
        self._vault, self._file, self._isolated = vault, file or CredentialsFile(), isolated

    def of_job(self, sealed: bytes | None, asker: Asker, request: RetrainRequest) -> Keys:
        """Return the keys of a job, or of a trigger; raise ConfigurationError if what came cannot be decrypted."""
        came, named = self._vault.open(sealed), self._file.now()
        usable = named.model_copy(
            update={kind: tuple(e for e in found if e.is_for(asker, isolated=self._isolated)) for kind, found in named}
        )
        source = came.source or _login(usable.git, request.git_uri)
        return Keys(source, came.dataset, named, usable)


def headers_for(file: CredentialsFile, address: str) -> Mapping[str, str]:
    """Return what a webhook's receiver wants to see, if the operator has something for it."""
    entry = next(nearest(file.now().webhook, address), None)
    if entry is None:
        return {}
    password = entry.password.get_secret_value()
    pair = b64encode(f"{entry.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}" if entry.username else f"Bearer {password}"}


def _login(entries: tuple[Entry, ...], address: str) -> Credentials | None:
    found = next((each for each in nearest(entries, address) if each.password.get_secret_value()), None)
    return found.credentials if found else None


def _repository(address: str | None) -> str:
    repository = find_repository(address or "")
    return repository.url if repository else ""
