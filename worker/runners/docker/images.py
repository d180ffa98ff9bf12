"""Pulls images for attempts, and removes again those that this service pulled."""

import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import CancellableStream
from requests.exceptions import ReadTimeout
from urllib3.exceptions import ReadTimeoutError

from shared.errors import Code, InfrastructureError
from worker.credentials.pulling import ANYBODY, Pull
from worker.interruption import NEVER, Interruption
from worker.runners.docker.engine import ENGINE_ERRORS, Engine, engine_answers, why
from worker.runners.docker.failures import pull_failed, pull_timeout, unavailable
from worker.runners.docker.image_reference import digest_reference, require_image
from worker.runners.docker.pulled_images import PulledImage, PulledImages
from worker.runners.seam import Image

PULL_SILENCE_SECONDS = 60
KEPT_CONFIGS = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PullLimits:
    """How long a pull may take, what may end it sooner, and who asks."""

    timeout_seconds: float
    interruption: Interruption = NEVER
    pull: Pull = ANYBODY


class DockerImages:
    """The images of one engine. ``pulled`` records what this service pulled; without it, no image is ever removed."""

    def __init__(self, engine: Engine, pulled: PulledImages | None) -> None:
        self._engine = engine
        self._pulled = pulled
        self._configs: dict[str, dict[str, Any]] = {}

    def prepare(self, image: str | None, *, pinned: str | None = None, limits: PullLimits) -> Image | None:
        """Make sure that the image is here, pulling it if missing; exactly the ``pinned`` one if still available."""
        name = require_image(image)
        if pinned:
            if found := self._bring_pinned(name, pinned, limits=limits):
                return found
            logger.warning("the pinned image is gone; the name may mean another", extra={"image": name, "id": pinned})
        return self._bring(name, limits=limits)

    def find_config(self, image: str) -> Mapping[str, Any]:
        """Return the image's configuration, from memory for an id that was seen before: it always means the same."""
        if (known := self._configs.get(image)) is not None:
            return known
        try:
            return self._keep_config(self._engine.client.images.get(image).attrs)
        except ImageNotFound as error:
            raise pull_failed(image, "it is not on this host (any more)") from error

    def find_unused(self, seconds: float) -> list[str]:
        """Return the ids of images that this service pulled and has not used for that long, oldest use first."""
        return self._pulled.unused(seconds) if self._pulled else []

    def remove(self, image_id: str) -> bool:
        """Remove an image that this service pulled; never one that is in use, or that somebody else has named."""
        known = self._pulled.find(image_id) if self._pulled else None
        if self._pulled is None or known is None:
            return False
        with engine_answers(f"remove the image '{image_id}'", image=image_id):
            if not self._remove_image(known):
                return False
        self._pulled.forget(image_id)
        logger.info("removed an image", extra={"image": image_id, "names": sorted(known.references)})
        return True

    def _bring_pinned(self, name: str, pinned: str, *, limits: PullLimits) -> Image | None:
        if found := self._find_here(pinned, limits):
            return found
        try:
            return self._bring(digest_reference(name, pinned), limits=limits)
        except InfrastructureError as error:
            if error.code is not Code.IMAGE_PULL_FAILED:
                raise
            return None  # it was built here, or the registry dropped it

    def _bring(self, name: str, *, limits: PullLimits) -> Image:
        if found := self._find_here(name, limits):
            return found
        before = self._references()
        self._pull(name, limits=limits)
        found = self._use_image(name)
        if found is None:
            raise pull_failed(name, "it was removed at once by somebody else")
        self._note_pull(found.id, before)
        return replace(found, was_pulled=True)

    def _find_here(self, name: str, limits: PullLimits) -> Image | None:
        """Return the image if it is here, unless its registry is to say first who may have it."""
        return None if limits.pull.asks_registry else self._use_image(name)

    def _use_image(self, name: str) -> Image | None:
        """Return the image if it is here, noting that it is about to be used."""
        with engine_answers(f"look for the image '{name}'", image=name):
            try:
                found = self._engine.client.images.get(name).attrs
            except ImageNotFound:
                return None
        self._keep_config(found)
        if self._pulled:
            self._pulled.note_use(found["Id"])
        digests = found.get("RepoDigests") or []
        return Image(id=found["Id"], digest=digests[0].partition("@")[2] if digests else None)

    def _keep_config(self, found: Mapping[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = found["Config"] or {}
        while len(self._configs) >= KEPT_CONFIGS:
            self._configs.pop(next(iter(self._configs)), None)
        self._configs[found["Id"]] = config
        return config

    def _references(self) -> dict[str, set[str]]:
        """Return the tags and digests of all images here."""
        with engine_answers("list images"):
            return {each["Id"]: _references_of(each) for each in self._engine.client.api.images(all=True)}

    def _note_pull(self, image_id: str, before: Mapping[str, set[str]]) -> None:
        """Note an image that our pull brought here, or a name that our pull gave to one that was noted before."""
        if self._pulled and (image_id not in before or self._pulled.find(image_id)):
            self._pulled.note_pull(image_id, self._references().get(image_id, set()) - before.get(image_id, set()))

    def _pull(self, name: str, *, limits: PullLimits) -> None:
        silence_seconds = math.ceil(min(limits.timeout_seconds, PULL_SILENCE_SECONDS))
        logger.info("pulling an image", extra={"image": name})
        try:
            client = _PullClient(version="auto", timeout=silence_seconds, **self._engine.connection())
            with closing(client), limits.interruption.stopping(client.break_off):
                if limits.pull.asks_registry:  # an engine that still has the manifest would not
                    client.inspect_distribution(name, _login(limits.pull))  # type: ignore[no-untyped-call]
                _follow(client.pull(name, stream=True, decode=True, auth_config=_login(limits.pull)), name, limits)
        except (ReadTimeout, ReadTimeoutError) as error:
            raise pull_timeout(name, limits.timeout_seconds) from error
        except APIError as error:
            raise pull_failed(name, why(error)) from error
        except ENGINE_ERRORS as error:
            limits.interruption.check()  # raises if we broke it off
            raise unavailable(f"pull '{name}'", error, image=name) from error

    def _remove_image(self, known: PulledImage) -> bool:
        api = self._engine.client.api
        try:
            image = self._engine.client.images.get(known.id)
            if not _references_of(image.attrs) <= known.references:
                return False
            if api.containers(all=True, quiet=True, filters={"ancestor": known.id}):
                return False
            for reference in (*image.tags[1:], known.id):  # an image of several tags is not removed by its id
                api.remove_image(reference, noprune=False)
        except ImageNotFound:
            return True
        except APIError as error:
            if error.status_code != 409:  # a container was created meanwhile, or an image was built on it
                raise
            return False
        return True


class _PullClient(docker.APIClient):
    """Pulls with a timeout, which docker-py lacks: it gives up on a silent engine or registry.

    A pull can also be broken off: an engine ends a pull whose client is gone.
    """

    _answer: Any = None

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> Any:
        self._answer = super().post(url, data, json, **{**kwargs, "timeout": self.timeout})
        return self._answer

    def break_off(self) -> None:
        """End the pull from another thread, which wakes the reading one. Not possible before the engine answers."""
        if self._answer is not None:
            with suppress(DockerException, OSError, AttributeError):  # impossible over ssh; or it has just ended
                CancellableStream(iter(()), self._answer).close()


def _follow(pull: Iterable[Any], name: str, limits: PullLimits) -> None:
    deadline = time.monotonic() + limits.timeout_seconds
    for progress in pull:
        limits.interruption.check()
        if "error" in progress:
            raise pull_failed(name, progress["error"])
        if time.monotonic() > deadline:
            raise pull_timeout(name, limits.timeout_seconds)
    limits.interruption.check()


def _login(pull: Pull) -> dict[str, str] | None:
    """Return what the engine shows the registry; without it, what `docker login` saved for it."""
    return {"username": pull.username, "password": pull.password} if pull.password else None


def _references_of(image: Mapping[str, Any]) -> set[str]:
    named = (image.get("RepoTags") or []) + (image.get("RepoDigests") or [])
    return {each for each in named if not each.startswith("<none>")}
