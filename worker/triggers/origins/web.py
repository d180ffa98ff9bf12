"""Looks at a file on an http(s) server: its ETag, or when it was last modified and how long it is."""

import hashlib
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urldefrag, urlsplit

from shared.addresses.git_uri import GitUri
from shared.errors import AttemptError, Code, InfrastructureError, UserError
from shared.settings import Settings
from worker.source.web_opener import WebOpener
from worker.triggers.origins.seam import Asking, Revision, aside

SILENCE_SECONDS = 20
SHOWN_CHARACTERS = 100
WITHOUT_HEAD = (400, 403, 404, 405, 501)  # what servers answer that know GET only, or signed an address for GET
EMPTY_FILE = 416  # to a request for its first byte
OF_THE_USER = (400, 401, 403, 404, 410, 451)
WHAT = "The dataset's address"


def takes(address: str, _settings: Settings) -> bool:
    """Return whether it is an http or https address."""
    return address.lower().startswith(("http://", "https://"))


def look(address: str, asking: Asking) -> Revision:
    """Ask the server by HEAD or, where it does not answer that, by a GET that reads nothing."""
    url = urldefrag(address).url  # behind the '#' is what its reader checks, such as a digest
    place = _parsed(url)
    with asking.source.open_web(place, what=WHAT, credentials=asking.credentials) as opener:

        def work(over: threading.Event) -> Revision | None:
            return _ask(opener, url, "HEAD", over) or _ask(opener, url, "GET", over)

        found = aside(work, asking.deadline, what=address)
    if found is None:
        message = f"{address} has neither an ETag nor a Last-Modified, so nobody can see whether it changed."
        raise UserError(Code.INVALID_PARAMETER, f"{message} Use a server that sends one.")
    return found


def _parsed(url: str) -> GitUri:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise UserError(Code.INVALID_PARAMETER, f"{WHAT} has an invalid host or port.") from None
    if not parts.hostname or "@" in parts.netloc:
        raise UserError(Code.INVALID_PARAMETER, f"{WHAT} names no host, or a user before it.")
    return GitUri(url, parts.scheme.lower(), parts.hostname)


def _ask(opener: WebOpener, url: str, method: str, over: threading.Event) -> Revision | None:
    """Return what the headers tell; None if they tell nothing, or the server does not answer this method."""
    if over.is_set():
        return None
    headers = {"Accept-Encoding": "identity", "User-Agent": "retrain"}
    headers |= {"Range": "bytes=0-0"} if method == "GET" else {}
    request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310 - checked before
    try:
        with opener.open(request, timeout=SILENCE_SECONDS) as answer:
            return _revision_in(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == EMPTY_FILE:
                return _revision_in(error.headers)
            if method == "HEAD" and error.code in WITHOUT_HEAD:
                return None
            raise _refused(opener, url, error.code) from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a redirect to no address
        raise _unreachable(opener, url, str(error) or type(error).__name__) from error


def _revision_in(headers: Any) -> Revision | None:
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    _, _, whole = (headers.get("Content-Range") or "").rpartition("/")
    length = whole or headers.get("Content-Length") or "?"
    if etag:
        return Revision(f"ETag {_bounded(etag)}")
    return Revision(f"of {_bounded(modified)}, {_bounded(length)} bytes") if modified else None


def _bounded(value: str) -> str:
    """Return what can be shown; a long value as its digest, so that two never look the same."""
    if len(value) <= SHOWN_CHARACTERS and value.isprintable():
        return value
    return f"sha256:{hashlib.sha256(value.encode(errors='replace')).hexdigest()}"


def _refused(opener: WebOpener, url: str, status: int) -> AttemptError:
    if refusal := opener.refusal:
        return UserError(Code.INVALID_PARAMETER, refusal.message, setting=refusal.setting)
    if 300 <= status < 400:
        message = f"{url} redirects ({status}), which is not followed behind a proxy. Name where it leads."
        return UserError(Code.INVALID_PARAMETER, message)
    if status in OF_THE_USER:
        return UserError(Code.INVALID_PARAMETER, f"{url} answers {status}. Check the address, and its login.")
    return _unreachable(opener, url, f"it answers {status}")


def _unreachable(opener: WebOpener, url: str, why: str) -> AttemptError:
    if refusal := opener.refusal:
        return UserError(Code.INVALID_PARAMETER, refusal.message, setting=refusal.setting)
    told = opener.trouble or why
    return InfrastructureError(Code.GIT_UNREACHABLE, f"{url} could not be reached: {told}. Check the worker's network.")
