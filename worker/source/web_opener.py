"""Opens what an LFS or file server has: shows a login where the server asks for one, and to no other host."""

import base64
import ssl
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from shared.addresses.git_uri import AddressRefusal, Credentials
from worker.source.git import Git
from worker.source.logins import Logins, origin_of

AUTHORIZATION = "Authorization"
UNAUTHORIZED = 401


class WebOpener:
    """Opens requests by git's way out. A host that asked once is shown its login at once from then on."""

    def __init__(self, git: Git, logins: Logins) -> None:
        self._logins, self._door = logins, git.door
        self._asked: set[str | None] = set()
        self._opener = urllib.request.build_opener(
            (_OnlyByProxy if git.door else urllib.request.ProxyHandler)(git.proxies()),
            _KeepToHost() if git.door else _NoRedirect(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=git.trusted)),
        )

    @property
    def refusal(self) -> AddressRefusal | None:
        """Why the door did not let the last request through, if it did not."""
        return self._door.refusal if self._door else None

    @property
    def trouble(self) -> str:
        """Why the door could not reach a host."""
        return self._door.trouble if self._door else ""

    def open(self, request: urllib.request.Request, *, timeout: float) -> Any:
        """Return the answer; raise what urllib raises."""
        login = self._logins.of(request.full_url)
        if login is None or request.has_header(AUTHORIZATION):  # what the server itself gave for its file
            return self._opener.open(request, timeout=timeout)
        if origin_of(request.full_url) in self._asked:
            return self._opener.open(_with(login, request), timeout=timeout)
        try:
            return self._opener.open(request, timeout=timeout)
        except urllib.error.HTTPError as error:
            if error.code != UNAUTHORIZED or origin_of(error.url) != origin_of(request.full_url):
                raise
            error.close()
        self._asked.add(origin_of(request.full_url))
        return self._opener.open(_with(login, request), timeout=timeout)


def _with(login: Credentials, request: urllib.request.Request) -> urllib.request.Request:
    headers, method = {**request.headers, AUTHORIZATION: login.as_basic}, request.get_method()
    return urllib.request.Request(  # noqa: S310 - checked before
        request.full_url, data=request.data, headers=headers, method=method
    )


class _OnlyByProxy(urllib.request.ProxyHandler):
    """Goes by the door to every host. urllib itself goes directly to those in NO_PROXY, where nothing checks it."""

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> None:  # noqa: A002 - as urllib has it
        """Prepare the request for the proxy; whoever opens its scheme sends it."""
        door = urlsplit(proxy)
        login = base64.b64encode(f"{door.username}:{door.password}".encode()).decode()
        req.add_header("Proxy-authorization", f"Basic {login}")
        req.set_proxy(f"{door.hostname}:{door.port}", type)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: behind the operator's proxy, nothing checks where it leads."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow none."""


class _KeepToHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but what lets in at one host is not shown to the next."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Return the next request, without the header if it goes to another host."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following and origin_of(newurl) != origin_of(req.full_url):
            following.remove_header(AUTHORIZATION)
        return following
