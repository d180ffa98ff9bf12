"""Knows by which path callers reach the API through a proxy, and who they are.

The path is that of API_PUBLIC_URL, or what a proxy says whose address is in API_TRUSTED_PROXIES. From all others,
X-Forwarded-* says nothing: any client can send it.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from shared.addresses.server_addresses import checked_path
from shared.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TRUSTED = "retrain.came_from_trusted_proxy"  # no header of a client is called so

Network = IPv4Network | IPv6Network


class BehindProxy:
    """A layer between server and app. It sets SCRIPT_NAME, and takes the path off where the proxy left it on."""

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        trusted: Collection[Network],
        public_url: str,
        is_served: Callable[[str, str], bool],
    ) -> None:
        self._app = app
        self._trusted = trusted
        self._path = checked_path(urlsplit(public_url).path)
        self._is_served = is_served
        self._as_told = ProxyFix(self._at_its_path, x_for=1, x_proto=1, x_host=1, x_prefix=1)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer as a WSGI app."""
        environ[TRUSTED] = is_trusted = is_among(environ.get("REMOTE_ADDR", ""), self._trusted)
        return (self._as_told if is_trusted else self._at_its_path)(environ, start_response)

    def _at_its_path(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Let the app know the path before its own, and see only its own.

        A path that is served as it is stays: /retrain is an operation, and a good path for the whole service.
        """
        prefix = checked_path(environ.get("SCRIPT_NAME", "")) or self._path
        path = environ.get("PATH_INFO", "")
        is_below = bool(prefix) and f"{path}/".startswith(f"{prefix}/")
        if is_below and not self._is_served(path, environ["REQUEST_METHOD"]):
            environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        environ["SCRIPT_NAME"] = prefix
        return self._app(environ, start_response)


def register(app: Flask, settings: Settings) -> None:
    """Put the layer before the app."""

    def is_served(path: str, method: str) -> bool:
        try:
            app.url_map.bind("").match(path, method=method)
        except HTTPException:
            return False
        return True

    trusted, public_url = settings.api_trusted_proxies, settings.api_public_url
    layer = BehindProxy(app.wsgi_app, trusted=trusted, public_url=public_url, is_served=is_served)
    app.wsgi_app = layer  # type: ignore[method-assign]  # Flask's documented way


def came_from_trusted_proxy(asked: Request) -> bool:
    """Return whether the peer itself is a trusted proxy, whatever it and its headers say about others."""
    return asked.environ.get(TRUSTED) is True


def is_among(address: str, networks: Collection[Network]) -> bool:
    """Return whether a peer's address is in one of the networks."""
    peer = find_address(address)
    return peer is not None and any(peer in each for each in networks)


@lru_cache(maxsize=1000)  # asked twice of each request's peer
def find_address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse a peer's address; an IPv4 one that came to an IPv6 socket is an IPv4 one."""
    try:
        peer = ip_address(text)
    except ValueError:
        return None
    return peer.ipv4_mapped or peer if isinstance(peer, IPv6Address) else peer
