"""Keeps the artifacts of registered versions as they were when they were registered.

An upload below such a place is refused. A registration waits until no upload is under way there: one that ended later
would change what was decided about.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from deploy.mlflow_guard.bodies import Unfit
from deploy.mlflow_guard.bounded import Bounded
from deploy.mlflow_guard.owners import Owners, Place
from deploy.mlflow_guard.writes import Kind
from shared.secrets.attempt_tokens import Grant

KNOWN_SECONDS = 30.0  # how long it is believed what versions there are; a registration by the job itself ends it
MOST_PLACES = 5000
FROZEN = "a registered model version refers to it, whose files stay as they are: log another model"


class UploadsUnderWay(Exception):
    """A version cannot be registered yet."""


class WriteOnce:
    """Knows which places are frozen, and what is under way."""

    def __init__(self, owners: Owners, clock: Callable[[], float] = time.monotonic) -> None:
        self._owners, self._clock = owners, clock
        self._known: Bounded[str, tuple[float, tuple[str, ...]]] = Bounded(MOST_PLACES)
        self._uploads: Counter[str] = Counter()
        self._registrations: Counter[str] = Counter()
        self._registered = 0

    async def check(self, grant: Grant, file: str) -> None:
        """Raise Unfit if a registered version refers to what this file lies in. Call it within ``upload``."""
        path = unquote(file)
        place = await self._owners.find_place(grant, path)
        frozen = await self._frozen(grant, place) if place else ()
        if any(_is_below(path, each) for each in (*frozen, *self._registrations)):
            raise Unfit(FROZEN)

    @contextmanager
    def upload(self, file: str) -> Iterator[None]:
        """While this lasts, nothing that the file is part of is registered."""
        with _counted(self._uploads, unquote(file)):
            yield

    async def place_of(self, grant: Grant, source: str) -> str:
        """Return the path of a version's source, which is the job's."""
        return await self._owners.path_of_source(grant, source) or ""

    @contextmanager
    def registration(self, place: str) -> Iterator[None]:
        """While this lasts, nothing is uploaded below the place; raise UploadsUnderWay if something is."""
        if any(_is_below(each, place) for each in self._uploads):
            raise UploadsUnderWay
        try:
            with _counted(self._registrations, place):
                yield
        finally:
            self._registered += 1
            self._known = Bounded(MOST_PLACES)

    async def _frozen(self, grant: Grant, place: Place) -> tuple[str, ...]:
        until, known = self._known.find(place.root) or (0.0, ())
        if self._clock() < until:
            return known
        seen, frozen = self._registered, await self._look(grant, place)
        if seen == self._registered:  # otherwise a version may have come since MLflow was asked
            self._known.put(place.root, (self._clock() + KNOWN_SECONDS, frozen))
        return frozen

    async def _look(self, grant: Grant, place: Place) -> tuple[str, ...]:
        is_whole = place.owner.kind is Kind.MODEL and await self._owners.has_versions(place.owner.name)
        versions = await self._owners.versions_of(place.run_id) if place.run_id else []
        paths = [await self._owners.path_of_source(grant, str(each.get("source") or "")) for each in versions]
        return tuple([place.root] * is_whole + [path for path in paths if path])


@contextmanager
def _counted(counter: Counter[str], key: str) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")
