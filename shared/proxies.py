"""Keeps a proxy of the environment (HTTP_PROXY and the like) out of the way to the service's own parts."""

from collections.abc import Iterable, Mapping, MutableMapping
from urllib.parse import urlsplit

from shared.own_addresses import HOST_FROM_CONTAINER, LOOPBACK, is_this_machine
from shared.settings import Settings

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPTIONS = ("no_proxy", "NO_PROXY")  # of both, some libraries read only one
OWN_NAMES = (*sorted(LOOPBACK), "127.0.0.0/8")
# For any POSIX shell. "*" alone means everything; within a list, libraries do not understand it.
PRELUDE = """\
if [ -n "{proxies}" ] && [ "${{no_proxy-}}" != '*' ] && [ "${{NO_PROXY-}}" != '*' ]; then
no_proxy="${{no_proxy:+$no_proxy,}}${{NO_PROXY:+$NO_PROXY,}}{names}"; NO_PROXY=$no_proxy; export no_proxy NO_PROXY
fi
"""


def go_directly_to_own_parts(environment: MutableMapping[str, str], settings: Settings) -> None:
    """Add to NO_PROXY, where a proxy is set, the hosts that only this machine or the stack's own network knows."""
    environment.update(exceptions(environment, own_hosts(settings)))


def exceptions(environment: Mapping[str, str], hosts: Iterable[str]) -> dict[str, str]:
    """Return NO_PROXY, in both spellings, with these hosts; nothing if there is no proxy, or it is used for nothing."""
    if not any(value for name, value in environment.items() if name.lower() in PROXIES):
        return {}
    given = [environment.get(name, "") for name in EXCEPTIONS]
    if "*" in given:
        return {}
    names = [name.strip() for value in given for name in value.split(",")]
    return dict.fromkeys(EXCEPTIONS, ",".join(dict.fromkeys(filter(None, [*names, *hosts]))))


def own_hosts(settings: Settings) -> list[str]:
    """Return this machine's names, and the hosts of our own servers."""
    addresses = (settings.mlflow_tracking_uri, settings.tracking_guard_uri)
    hosts = [urlsplit(address).hostname or "" for address in addresses]
    return [*OWN_NAMES, *filter(_is_near, hosts)]


def prelude_of_training(tracking_uri: str, *, is_guarded: bool) -> str:
    """Return what a shell runs before a training: the same, for variables that only the training's image knows."""
    host = urlsplit(tracking_uri).hostname or ""
    hosts = [*OWN_NAMES, HOST_FROM_CONTAINER, *([host] if is_guarded or _is_near(host) else [])]
    proxies = "".join(f"${{{name}-}}${{{name.upper()}-}}" for name in PROXIES)
    return PRELUDE.format(proxies=proxies, names=",".join(dict.fromkeys(filter(None, hosts))))


def _is_near(host: str) -> bool:
    """Return whether a proxy elsewhere cannot know the host: it is this machine, or has the name of a container."""
    return bool(host) and ("." not in host.rstrip(".") or is_this_machine(host))
