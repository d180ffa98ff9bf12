"""The interface of dataset origins, and the registry that finds one by its name, the ``ds_origin``.

Ours are in a table, because mypackage may be a folder next to train.py, without metadata. Another distribution adds one
with an entry point in the group ``retrain.dataset_origins``: the origin's name, and its class.
"""

import importlib
import traceback
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, Self

from .addresses import shown
from .errors import DatasetError
from .records import DatasetRecord

GROUP = "retrain.dataset_origins"
OURS: Mapping[str, str] = {
    "http": ".http:HttpArchive",
    "dvc_repo": ".dvc_repository:DvcRepository",
    "azure_blob": ".azure_blob:AzureBlobs",
    "local": ".local:LocalFiles",
}
HIDDEN = "[hidden]"


class DatasetOrigin(Protocol):
    """Where datasets come from. ``form`` shows what an address of it looks like."""

    form: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Create it from the training's variables."""

    def check(self) -> None:
        """Raise DatasetError, saying what to install, if it cannot work in this image."""

    def takes(self, address: str) -> bool:
        """Return whether it understands the address, without contacting anything."""

    def secrets(self, address: str) -> Iterable[str]:
        """Return what no message may show: credentials in the address, and those from variables."""

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        """Put the whole dataset into the folder, or nothing, and return what it was. Raises DatasetError."""


def names() -> list[str]:
    """Return the names of all available origins: ours, then others."""
    return [*OURS, *sorted(set(entry_points(group=GROUP).names) - set(OURS))]


def load(name: str) -> type[DatasetOrigin]:
    """Return the class of that name; raise DatasetError if there is none or it cannot be imported."""
    places = [OURS[name]] if name in OURS else sorted({each.value for each in entry_points(group=GROUP, name=name)})
    if not places:
        raise DatasetError(f"ds_origin is {name!r}; it must be one of: {', '.join(names())}.")
    if len(places) > 1:
        raise DatasetError(f"ds_origin {name!r} is {' and '.join(places)}. Uninstall all but one.")
    module, _, attribute = places[0].partition(":")
    try:
        found: type[DatasetOrigin] = getattr(importlib.import_module(module, __package__), attribute)
    except (ImportError, AttributeError) as error:
        raise DatasetError(f"ds_origin {name!r} is {places[0]}, which cannot be imported: {error}") from error
    return found


def fetch(origin: DatasetOrigin, address: str, target: Path) -> DatasetRecord:
    """Fetch the dataset at the address into the folder. No message shows the origin's secrets."""
    if not origin.takes(address):
        raise DatasetError(f"'{shown(address)}' is not an address of this ds_origin; write {origin.form}.")
    origin.check()
    try:
        return origin.fetch(address, target)
    except DatasetError as error:
        secrets = [secret for secret in origin.secrets(address) if secret and secret in _all_of(error)]
        if not secrets:
            raise
        raise _without(error, secrets) from None


def _all_of(error: DatasetError) -> str:
    """Return what Python would print for the error, with its causes."""
    return "".join(traceback.format_exception(error))


def _without(error: DatasetError, secrets: Iterable[str]) -> DatasetError:
    message = str(error)
    for secret in sorted(secrets, key=len, reverse=True):  # one may be part of another
        message = message.replace(secret, HIDDEN)
    return DatasetError(message)
