"""Looks at blobs in Azure: how many are below a prefix, and which versions of them.

Only in accounts that the operator lends to trainings: by an entry in CREDENTIALS_FILE for that account, or by
AZURE_STORAGE_CONNECTION_STRING in PROJECT_ENV_ALLOWLIST.
"""

import hashlib
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from shared.settings import Settings
from worker.triggers.origins.seam import Asking, Revision, aside

VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
MOST_BLOBS = 200_000
PAGE = 5000
OPTIONS = {"retry_total": 1, "connection_timeout": 10, "read_timeout": 20}
SCHEME = "azure://"
OF_THE_USER = (400, 401, 403, 404)


@dataclass(frozen=True)
class Account:
    """The account that is lent: its name, its address and what opens it."""

    name: str
    url: str
    opens: str = field(repr=False)

    @classmethod
    def lent(cls, settings: Settings) -> "Account | None":
        """Return it, if the operator lends one."""
        opens = settings.azure_storage_connection_string.get_secret_value()
        return cls.opened_by(opens) if opens and VARIABLE in settings.project_env_allowlist else None

    @classmethod
    def opened_by(cls, opens: str) -> "Account":
        """Return the account of a connection string."""
        said = dict(part.partition("=")[::2] for part in opens.split(";"))
        name, suffix = said.get("AccountName", ""), said.get("EndpointSuffix", "core.windows.net")
        protocol = said.get("DefaultEndpointsProtocol", "https")
        url = said.get("BlobEndpoint", f"{protocol}://{name}.blob.{suffix}").rstrip("/")
        return cls(name or _name_in(url), url, opens)


def takes(address: str, settings: Settings) -> bool:
    """Return whether it is azure://account/container/prefix, or an address in the account that is lent."""
    account = Account.lent(settings)
    return address.startswith(SCHEME) or (account is not None and address.startswith(f"{account.url}/"))


def look(address: str, asking: Asking) -> Revision:
    """List the blobs, page by page."""
    account = Account.opened_by(asking.account) if asking.account else Account.lent(asking.settings)
    if account is None:
        message = f"No account in Azure is lent to this service, so {address} cannot be looked at. Its operator sets "
        raise UserError(Code.INVALID_PARAMETER, f"{message}{VARIABLE}, and lists it in PROJECT_ENV_ALLOWLIST.")
    container, prefix = _inside(address, account)
    return aside(lambda over: _list(account, container, prefix, address, over), asking.deadline, what=address)


def _inside(address: str, account: Account) -> tuple[str, str]:
    """Return the container's name, and the prefix in it."""
    if address.startswith(SCHEME):
        name, _, inside = address.removeprefix(SCHEME).partition("/")
        if name != account.name:
            message = f"{address} is in another account than the one that is lent to this service ({account.name})."
            raise UserError(Code.INVALID_PARAMETER, message)
    else:
        inside = address.removeprefix(f"{account.url}/").partition("?")[0]
    container, _, prefix = unquote(inside).partition("/")
    if not container:
        raise UserError(Code.INVALID_PARAMETER, f"{address} names no container. Write {SCHEME}account/container/prefix")
    return container, prefix.strip("/")


def _list(account: Account, container: str, prefix: str, address: str, over: threading.Event) -> Revision:
    count, newest, digest = 0, None, hashlib.sha256()
    with _explained(address), _opened(account, container) as client:
        for blob in client.list_blobs(name_starts_with=prefix or None, results_per_page=PAGE):
            if prefix and blob.name != prefix and not blob.name.startswith(f"{prefix}/"):
                continue
            count += 1
            if count > MOST_BLOBS or over.is_set():
                break
            newest = max(filter(None, (newest, blob.last_modified)), default=None)
            digest.update(f"{blob.name}\n{blob.etag}\n{blob.last_modified}\n".encode())
    if count > MOST_BLOBS:
        message = f"There are more than {MOST_BLOBS} blobs below {address}. Name a longer prefix."
        raise UserError(Code.INVALID_PARAMETER, message)
    facts = {"blobs": count, **({"newest": newest.isoformat()} if newest else {})}
    return Revision(f"sha256:{digest.hexdigest()}", facts)


@contextmanager
def _opened(account: Account, container: str) -> Iterator[Any]:
    storage = importlib.import_module("azure.storage.blob")  # half a second, and only for whoever has data there
    with (
        storage.BlobServiceClient.from_connection_string(account.opens, **OPTIONS) as service,
        service.get_container_client(container) as client,
    ):
        yield client


@contextmanager
def _explained(address: str) -> Iterator[None]:
    # An error's own text may repeat the URL, with a signature that may be in it.
    errors = importlib.import_module("azure.core.exceptions")
    try:
        yield
    except errors.AzureError as error:
        raise _error(address, error) from None
    except ValueError:
        raise UserError(Code.INVALID_PARAMETER, f"{VARIABLE} is not a connection string.") from None


def _error(address: str, error: Any) -> AttemptError:
    status = getattr(error, "status_code", None)
    what = getattr(error, "error_code", None) or status or type(error).__name__
    if status in OF_THE_USER:
        message = f"Azure does not list {address}: {what}. Check the address, and whether {VARIABLE} may list it."
        return UserError(Code.INVALID_PARAMETER, message)
    message = f"Azure does not list {address}: {what}. Check the worker's network."
    return InfrastructureError(Code.GIT_UNREACHABLE, message)


def _name_in(url: str) -> str:
    """Return the account's name in its address: the host's first word or, of an emulator, the path's."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_account = "." in host and not host.replace(".", "").isdigit()
    return host.partition(".")[0] if is_account else parts.path.strip("/").partition("/")[0]
