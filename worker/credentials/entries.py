"""The entries of credentials.toml: what each opens, whose jobs may use it, and which one an address needs. Pure."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from shared.access.roles import Role
from shared.addresses.git_uri import CONTROL_CHARACTERS, Credentials
from shared.errors import ConfigurationError
from shared.secrets.addresses import SECRET_NAME

MOST_BYTES = 1 << 20
DEFAULT_PORTS = {"http": 80, "https": 443}
ANY_USER = "token"  # hosts that need no name take any, but not all take none
HUB, HUB_NAMES = "docker.io", ("index.docker.io", "registry-1.docker.io")


class Asker(Protocol):
    """Whose job or trigger it is."""

    @property
    def team(self) -> str | None:
        """The team; None for all teams."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that whoever made it had then."""


@dataclass(frozen=True)
class Place:
    """A host, by scheme and port too, and the folders on it. Compared exactly: no part of a name is another's."""

    origin: str
    folders: tuple[str, ...]

    @classmethod
    def of(cls, address: str) -> Self | None:
        """Return the place of an http(s) address; None for any other, and for one that climbs."""
        try:
            parts = urlsplit(address)
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            return None
        folders = tuple(filter(None, unquote(parts.path).split("/")))
        if not parts.hostname or {".", ".."} & set(folders) or "\\" in "".join(folders):
            return None  # a client would go up before it asks
        return cls(f"{parts.scheme}://{parts.hostname}:{port}", folders)

    def holds(self, other: "Place | None") -> bool:
        """Return whether the other place is this one, or below it; a repository may be written with .git."""
        if other is None or other.origin != self.origin:
            return False
        same, length = other.folders[: len(self.folders)], len(self.folders)
        return same == self.folders or (
            bool(length) and same[:-1] == self.folders[:-1] and same[-1:] == (f"{self.folders[-1]}.git",)
        )


@dataclass(frozen=True, repr=False)
class PlaceCredentials(Credentials):
    """A login for one place only, also where a submodule or an LFS server on the same host asks."""

    place: Place = Place("", ())

    def reaches(self, address: str) -> bool:
        """Return whether it may be shown there."""
        return self.place.holds(Place.of(address))


class Entry(BaseModel):
    """One login of the operator's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    username: str = ""
    password: SecretStr = SecretStr("")
    teams: frozenset[str] | None = None
    roles: frozenset[Role] | None = None

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        place = Place.of(value) if "://" in value else Place.of(f"https://{value}")
        if place is None or "@" in value or "?" in value or "#" in value:
            raise ValueError("must be a host, or an http(s) address without a login, such as https://git.example.com")
        return value if "://" in value else f"https://{value}"

    @model_validator(mode="after")
    def _opens_something(self) -> Self:
        if not any(self.secrets):
            raise ValueError("has no password")
        if ":" in self.username or any(map(CONTROL_CHARACTERS.search, (self.username, *self.secrets))):
            raise ValueError("has a character that no login can have")
        return self

    @property
    def place(self) -> Place:
        """Where it is shown."""
        place = Place.of(self.url)
        assert place is not None  # noqa: S101 - checked above
        return place

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nothing may show."""
        return (self.password.get_secret_value(),)

    def is_for(self, asker: Asker, *, isolated: bool) -> bool:
        """Return whether this job may use it. Where teams are isolated, one without teams is for no single team."""
        if self.roles is not None and not self.roles.union({Role.ADMIN}).intersection(asker.roles):
            return False
        if asker.team is None:
            return True
        return not isolated if self.teams is None else asker.team in self.teams

    @property
    def credentials(self) -> PlaceCredentials:
        """The login, for its place."""
        parts = urlsplit(self.url)
        origin = f"{parts.scheme}://{parts.netloc}/"
        return PlaceCredentials(origin, self.username or ANY_USER, self.password.get_secret_value(), self.place)


class Data(Entry):
    """What opens data: a login for git, or an account in Azure. Trainings that read it get it."""

    connection_string: SecretStr = SecretStr("")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What nothing may show, and the secret parts of it."""
        account = self.connection_string.get_secret_value()
        parts = [each.partition("=") for each in account.split(";")]
        keys = [value for name, _, value in parts if SECRET_NAME.search(name)]
        return tuple(filter(None, (*super().secrets, account, *keys)))

    @property
    def account(self) -> str:
        """The name of the account in Azure; empty for none."""
        said = dict(part.partition("=")[::2] for part in self.connection_string.get_secret_value().split(";"))
        return said.get("AccountName", "")


class Webhook(Entry):
    """What a receiver of alerts wants to see: a user and password, or a token alone."""


Entries = Annotated[tuple[Entry, ...], Field(max_length=1000)]


class Named(BaseModel):
    """All entries of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    git: Entries = ()
    registry: Entries = ()
    dataset: Annotated[tuple[Data, ...], Field(max_length=1000)] = ()
    webhook: Annotated[tuple[Webhook, ...], Field(max_length=1000)] = ()

    @classmethod
    def parse(cls, raw: bytes, *, name: str) -> "Named":
        """Read the file's text; ConfigurationError says what is wrong, and repeats none of it."""
        try:
            return cls.model_validate(tomllib.loads(raw.decode()))
        except UnicodeDecodeError:
            raise ConfigurationError(f"CREDENTIALS_FILE: {name} is not text.") from None
        except tomllib.TOMLDecodeError as error:
            where = str(error).rpartition("(")[2].rstrip(")")
            raise ConfigurationError(f"CREDENTIALS_FILE: {name} is not TOML ({where}).") from None
        except ValidationError as error:
            wrong = "; ".join(map(_said, error.errors(include_input=False, include_context=False, include_url=False)))
            raise ConfigurationError(f"CREDENTIALS_FILE: {name}: {wrong}.") from None

    @property
    def all(self) -> tuple[Entry, ...]:
        """Every entry."""
        return (*self.git, *self.registry, *self.dataset, *self.webhook)

    @property
    def secrets(self) -> frozenset[str]:
        """What nothing may show."""
        return frozenset(secret for entry in self.all for secret in entry.secrets if secret)


def nearest(entries: Sequence[Any], address: str) -> Iterator[Any]:
    """Yield the entries for an address, the one for the most folders first."""
    place = Place.of(address)
    fitting = [each for each in entries if each.place.holds(place)]
    yield from sorted(fitting, key=lambda each: len(each.place.folders), reverse=True)


def address_of_image(image: str) -> str:
    """Return the address of an image's registry and repository, as Docker reads the image's name."""
    first, slash, rest = image.partition("/")
    if not slash or not ({".", ":"} & set(first) or first == "localhost"):
        first, rest = HUB, image
    path = rest.partition("@")[0]
    folder, between, last = path.rpartition("/")
    return f"https://{HUB if first in HUB_NAMES else first}/{folder}{between}{last.partition(':')[0]}"


def _said(error: Any) -> str:
    kind, *where = [str(part) for part in error["loc"]]
    number = f" {int(where[0]) + 1}" if where and where[0].isdigit() else ""
    names = [part for part in where if not part.isdigit() and part in Data.model_fields]
    return f"[[{kind[:20]}]]{number} {' '.join(names)}: {error['msg'].removeprefix('Value error, ')}"
