"""Fetches the public keys of an OpenID Connect issuer, when they are needed and not at import."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from api.http.errors import IssuerUnavailable, NotAuthenticated

logger = logging.getLogger(__name__)

DISCOVERY = "/.well-known/openid-configuration"
TIMEOUT_SECONDS = (3, 5)  # to connect, and between two parts of the answer
ANSWER_SECONDS = 10.0
MOST_BYTES = 512 * 1024
CHUNK_BYTES = 16 * 1024
LOOK_SECONDS = 60.0  # between two looks for an unknown key: anybody can name one
RETRY_SECONDS = 10.0
FRESH_SECONDS = 600.0  # then keys are fetched again, so that a withdrawn one ends
KEPT_SECONDS = 3600.0  # how long keys count while the issuer does not answer
MOST_WAITING = 8  # requests: the others keep their threads
SIGNING = frozenset({"RSA", "EC", "OKP"})  # never oct, a key that both sides would know


class Issuer:
    """The issuer's keys, by their ids."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        self._fetching = Lock()
        self._waiting = BoundedSemaphore(MOST_WAITING)
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False

    def key(self, kid: str) -> jwt.PyJWK:
        """Return the key with this id; raise NotAuthenticated if there is none, IssuerUnavailable if nobody can say."""
        if self._age() > FRESH_SECONDS or kid not in self._keys:
            self._look_again(kid)
        found = self._keys.get(kid) if self._age() <= KEPT_SECONDS else None
        if found is not None:
            return found
        if self._failed or self._fetched_at is None:
            raise IssuerUnavailable(f"{self.url} does not answer, so nobody knows whether this token is its own.")
        raise NotAuthenticated("This token is signed by a key that the issuer does not have.")

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _look_again(self, kid: str) -> None:
        """Fetch the keys, unless that was done just now; those who come meanwhile wait for it."""
        if not self._waiting.acquire(blocking=False):
            return
        try:
            with self._fetching:
                pause = RETRY_SECONDS if self._failed else LOOK_SECONDS
                if self._tried_at is None or self._clock() - self._tried_at >= pause:
                    self._fetch()
        finally:
            self._waiting.release()

    def _fetch(self) -> None:
        try:
            self._keys = self._read_keys()
        except (requests.RequestException, ValueError, RecursionError) as error:
            self._failed = True
            logger.warning("the issuer's keys cannot be fetched", extra={"issuer": self.url, "cause": str(error)})
        else:
            self._failed, self._fetched_at = False, self._clock()
            logger.info("the issuer's keys are fetched", extra={"issuer": self.url, "keys": sorted(self._keys)})
        self._tried_at = self._clock()

    def _read_keys(self) -> Mapping[str, jwt.PyJWK]:
        found = _read_object(self.url.rstrip("/") + DISCOVERY)
        if found.get("issuer") != self.url:
            raise ValueError(f"it calls itself {found.get('issuer')!r}; set OIDC_ISSUER to that, sign for sign")
        address = found.get("jwks_uri")
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", urlsplit(self.url).scheme):
            raise ValueError(f"the address of its keys is not one: {address!r}")
        keys = _read_object(address).get("keys")
        if not isinstance(keys, list):
            raise ValueError("there is no list of keys")
        return {each["kid"]: key for each in keys if (key := _public_key(each)) is not None}


def _public_key(told: Any) -> jwt.PyJWK | None:
    """Return a key that signs; None for what is another, or what we do not know."""
    if not isinstance(told, dict) or told.get("kty") not in SIGNING or told.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK(told) if isinstance(told.get("kid"), str) else None
    except jwt.PyJWTError:
        return None


def _read_object(address: str) -> Mapping[str, Any]:
    """Read a JSON object of bounded size. No login of a .netrc file goes along, and no redirect is followed."""
    deadline, text = time.monotonic() + ANSWER_SECONDS, b""
    with requests.get(
        address, auth=lambda request: request, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
    ) as answer:
        if answer.status_code != HTTPStatus.OK:
            raise ValueError(f"{address} answers {answer.status_code}")
        for chunk in answer.iter_content(CHUNK_BYTES):
            text += chunk
            if len(text) > MOST_BYTES or time.monotonic() > deadline:
                raise ValueError(f"{address} answers too much, or too slowly")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{address} answers no JSON object")
    return found
