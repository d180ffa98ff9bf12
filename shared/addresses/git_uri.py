"""Parses git addresses from requests: which are accepted, and takes credentials out before anything is stored."""

import re
from base64 import b64encode
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from shared.addresses.inside_addresses import Address, find_address, is_inside
from shared.addresses.user_names import is_user_name

SCHEMES = ("https", "ssh", "http", "file")
HOST = re.compile(r"^([a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?|[0-9a-f]*:[0-9a-f:.]*)$")
SSH_USER = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")
SCP_LIKE = re.compile(r"^(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:]+):(?P<path>[^:-].*)$")
FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\\"'`<>^{|}]")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
PLACEHOLDER_PASSWORDS = {"", "x-oauth-basic"}
SHORTEST_TOKEN = 20
AT = re.compile(r"@|%(25)*40")


@dataclass(frozen=True)
class Credentials:
    """The user and password that git sends to one origin (``scheme://host[:port]/``)."""

    origin: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(origin={self.origin!r}, …)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The strings that must not appear anywhere.

        A token may take the place of the user's name: alone, or before a password that only marks it. Any other
        user's name is not secret, and masking a short word such as `ci` would spoil every log.
        """
        if self.password in PLACEHOLDER_PASSWORDS:
            return (self.username,)
        is_token = len(self.username) >= SHORTEST_TOKEN and not is_user_name(self.username)
        return (self.password, self.username) if is_token else (self.password,)

    def reaches(self, _address: str) -> bool:
        """Return whether it may be shown at an address of its origin."""
        return True

    @property
    def as_basic(self) -> str:
        """Return what HTTP's Authorization header says; only for the host itself."""
        return f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}"


@dataclass(frozen=True)
class GitUri:
    """A git address without credentials, and the credentials that were in it."""

    uri: str
    scheme: str
    host: str
    credentials: Credentials | None = None


@dataclass(frozen=True)
class AddressRefusal:
    """Why an address may not be used, and the setting that decides it."""

    message: str
    setting: str


@dataclass(frozen=True)
class AllowedAddresses:
    """What the operator allows: GIT_SCHEMES and GIT_HOSTS; no hosts means any outside our own network."""

    schemes: frozenset[str]
    hosts: frozenset[str] = frozenset()
    private_networks: bool = False
    any_outside: bool = False  # hosts lists those inside, and any other is allowed

    def refusal(self, address: GitUri, *, what: str) -> AddressRefusal | None:
        """Return why the address may not be used, or None."""
        if address.scheme not in self.schemes:
            names = ", ".join(sorted(self.schemes))
            message = f"{what} has the scheme {address.scheme!r}; this service allows {names} (setting GIT_SCHEMES)."
            return AddressRefusal(message, "GIT_SCHEMES")
        return None if address.scheme == "file" else self.refusal_of_host(address.host, what=what)

    def refusal_of_host(self, host: str, *, what: str) -> AddressRefusal | None:
        """Return why the host may not be used, as far as its name tells without a look-up."""
        if self.names(host):
            return None
        if self.hosts and not self.any_outside:
            names = ", ".join(sorted(self.hosts))
            message = f"{what} is on the host {host!r}; this service allows {names} (setting GIT_HOSTS)."
            return AddressRefusal(message, "GIT_HOSTS")
        spelled = find_address(host)
        return self.refusal_of_address(spelled, host=host, what=what) if spelled else None

    def refusal_of_address(self, address: Address, *, host: str, what: str) -> AddressRefusal | None:
        """Return why one of the host's addresses may not be used, or None."""
        if self.names(host) or not is_inside(address, private_networks=self.private_networks):
            return None
        message = (
            f"{what} is on the host {host!r}, whose address {address} lies inside this service's own network. Where "
            f"requests may use it, its operator names it, with all other git hosts, in the setting GIT_HOSTS."
        )
        return AddressRefusal(message, "GIT_HOSTS")

    def with_any_outside(self) -> "AllowedAddresses":
        """Return the same, but any outside host is allowed, for files that an allowed host stores elsewhere."""
        return replace(self, any_outside=True)

    def names(self, host: str) -> bool:
        """Return whether GIT_HOSTS lists the host."""
        return host in {name.lower() for name in self.hosts}


def parse_git_uri(value: str) -> GitUri:
    """Split a git address into its clean form and its credentials; raise ValueError saying what is wrong with it.

    The message never repeats the value, which may contain a token.
    """
    if not value:
        raise ValueError("is empty; give the repository's address, such as https://github.com/user/repo.git")
    if value.startswith("-"):
        raise ValueError("begins with '-', which git would take for an option")
    if wrong := FORBIDDEN_CHARACTERS.search(value):
        raise ValueError(_about_character(wrong[0], wrong.start() + 1))
    if "://" not in value:
        return _parse_scp_like(value)
    parts = _split(value)
    if parts.fragment or parts.query or value.endswith(("?", "#")):
        raise ValueError("has a '#' or '?' part; name the subfolder in MLproject_location, the ref in commit_hash")
    if CONTROL_CHARACTERS.search(unquote(parts.path)):
        raise ValueError("contains a character that no git address has")
    match parts.scheme:
        case "file":
            return _parse_file(parts)
        case "ssh":
            return _parse_ssh(parts)
        case "http" | "https":
            return _parse_http(parts)
    raise ValueError(f"has a scheme that is not supported (supported: {', '.join(SCHEMES)})")


def _about_character(character: str, position: int) -> str:
    shown = "a space" if character == " " else f"U+{ord(character):04X}" if character < " " else f"'{character}'"
    remedy = "separate folders with '/'" if character == "\\" else f"write it as %{ord(character):02X} or leave it out"
    return f"contains {shown} (character {position}), which no git address has; {remedy}"


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        _ = parts.port  # read here, because it is only checked when first read
    except ValueError:  # its text may repeat the value: a malformed [host], a character that NFKC changes
        raise ValueError("has an invalid host or port") from None
    return parts


def _parse_scp_like(value: str) -> GitUri:
    match = SCP_LIKE.match(value)
    if match is None or AT.search(match["path"]) or match["host"].lower() in SCHEMES:
        raise ValueError("is not a git address; use https://host/path.git or ssh://git@host/path.git")
    host = _host(match["host"])
    user = f"{_ssh_user(match['user'])}@" if match["user"] else ""
    return GitUri(f"{user}{host}:{match['path']}", "ssh", host)


def _parse_file(parts: SplitResult) -> GitUri:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError("is not a local address; use file:///absolute/path")
    return GitUri(f"file://{parts.path}", "file", "")


def _parse_ssh(parts: SplitResult) -> GitUri:
    if parts.password:
        raise ValueError("contains a password for ssh, which git does not use; give the worker a key")
    user = f"{_ssh_user(parts.username)}@" if parts.username else ""
    return GitUri(f"ssh://{user}{_netloc(parts)}{_path(parts)}", "ssh", _host(parts.hostname))


def _parse_http(parts: SplitResult) -> GitUri:
    netloc = _netloc(parts)
    uri = urlunsplit((parts.scheme, netloc, _path(parts), "", ""))
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = _credentials(f"{parts.scheme}://{netloc}/", username, password, parts.path)
    return GitUri(uri, parts.scheme, _host(parts.hostname), credentials)


def _credentials(origin: str, username: str, password: str, path: str) -> Credentials | None:
    if not password and is_user_name(username, path):  # as with git, a name alone is no login
        return None
    if ":" in username or CONTROL_CHARACTERS.search(username + password):
        raise ValueError("contains a user or password with a character that HTTP Basic cannot carry")
    return Credentials(origin, username, password)


def _host(host: str | None) -> str:
    host = (host or "").lower()
    if not HOST.match(host):
        raise ValueError("names no host; use https://host/path.git")
    return host


def _netloc(parts: SplitResult) -> str:
    host = _host(parts.hostname)
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if parts.port is None else f"{bracketed}:{parts.port}"


def _path(parts: SplitResult) -> str:
    if not parts.path.strip("/"):
        raise ValueError("names no repository; use https://host/path.git")
    if AT.search(parts.path):  # the rest of a password with a '/' in it would be taken for the path, and shown
        raise ValueError("has an '@' after its host; a user or token goes before the host, with '/' written as %2F")
    return parts.path


def _ssh_user(user: str) -> str:
    if not SSH_USER.match(user):
        raise ValueError("has a user that ssh would not accept")
    if len(user) >= SHORTEST_TOKEN:  # no login is that long, and an ssh user is shown
        raise ValueError(
            "has a user that looks like a token, which ssh does not accept; use https://TOKEN@host/path.git"
        )
    return user
