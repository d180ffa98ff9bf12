"""The policy for trainings: each shows its attempt's token, reads what it likes, and writes what is its own job's."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from deploy.mlflow_guard.bodies import Unfit
from deploy.mlflow_guard.layer import Refused, Scope
from deploy.mlflow_guard.owners import Mlflow, Owners
from deploy.mlflow_guard.refusals import Refusals, call_of, object_of
from deploy.mlflow_guard.routes import OPEN, QUESTIONS, Verdict
from deploy.mlflow_guard.write_once import UploadsUnderWay, WriteOnce
from deploy.mlflow_guard.writes import Asked, Kind, Thing, Write, without_models, write_of
from shared.secrets.attempt_tokens import Grant, InvalidToken, verify

HOW = (
    "A training has its own in MLFLOW_TRACKING_TOKEN, which MLflow's client sends: pass that variable on to what "
    "the training starts, and set neither MLFLOW_TRACKING_USERNAME nor MLFLOW_TRACKING_PASSWORD"
)
BEARER = "bearer "
NOTE_SECONDS = 2.0  # for the list of refusals, while MLflow is slow


class Trainings:
    """Knows attempts by their tokens, which ``key`` signed; it is asked for each time, as it may be rotated."""

    def __init__(self, mlflow: Mlflow, key: Callable[[], str], *, clock: Callable[[], float] = time.time) -> None:
        self._key, self._clock = key, clock
        self._owners = Owners(mlflow)
        self._write_once = WriteOnce(self._owners)
        self._refusals = Refusals(mlflow)

    def identify(self, scope: Scope) -> Grant | None:
        """Return the attempt whose token the request shows; None where none is needed."""
        if scope["method"] == "GET" and scope["path"] in OPEN:
            return None
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
        if len(sent) != 1 or not sent[0].lower().startswith(BEARER):
            raise _unauthorized(f"it shows no token. {HOW}")
        try:
            return verify(sent[0][len(BEARER) :].strip(), self._key(), now=self._clock())
        except InvalidToken as error:
            raise _unauthorized(f"{error}. {HOW}") from error

    @asynccontextmanager
    async def admitted(
        self, grant: Grant, verdict: Verdict, scope: Scope, said: dict[str, Any], raw: bytes
    ) -> AsyncIterator[bytes | None]:
        """Let a write pass if all that it touches is the job's own."""
        if scope["method"] == "GET" or verdict.route in QUESTIONS:
            yield None
            return
        asked = Asked(scope["method"], verdict.route, verdict.named, said, raw, _content_type(scope))
        with _refusing():
            write = write_of(grant, asked)
        files = [thing.name for thing in write.needs if thing.kind is Kind.FILE]
        with self._uploading(files):
            await self._check(grant, write, files)
            body = await self._body(grant, write)
            with self._registering(await self._place(grant, write)):
                yield body

    async def note(self, grant: Grant, method: str, path: str, said: dict[str, Any]) -> None:
        """List a refusal in the attempt's run, before it is answered: the run is read once the training has ended."""
        writing = self._refusals.note(grant, call_of(method, path), object_of(said))
        await asyncio.wait({writing}, timeout=NOTE_SECONDS)

    async def _check(self, grant: Grant, write: Write, files: list[str]) -> None:
        for thing in write.needs:
            if not await self._owners.owns(grant, thing):
                raise Refused(f"the {thing} is not one of this job's: a training writes only to what its own job made")
        with _refusing():
            for file in files[-1:]:
                if await self._owners.is_root(grant, unquote(file)):
                    raise Unfit("a file's path goes on below 'artifacts'")
                await self._write_once.check(grant, file)

    async def _body(self, grant: Grant, write: Write) -> bytes | None:
        if write.body is None:
            return None
        others = {each for each in write.mentions if not await self._owners.owns(grant, Thing(Kind.MODEL, each))}
        return json.dumps(without_models(write.body, others) if others else write.body).encode()

    async def _place(self, grant: Grant, write: Write) -> str:
        sources = [thing.name for thing in write.needs if thing.kind is Kind.SOURCE]
        return await self._write_once.place_of(grant, sources[0]) if sources else ""

    @contextmanager
    def _uploading(self, files: list[str]) -> Iterator[None]:
        if files:
            with self._write_once.upload(files[-1]):
                yield
        else:
            yield

    @contextmanager
    def _registering(self, place: str) -> Iterator[None]:
        if not place:
            yield
            return
        try:
            with self._write_once.registration(place):
                yield
        except UploadsUnderWay as error:
            why = "files of this model are still being uploaded; try again when that is done"
            raise Refused(why, status=HTTPStatus.SERVICE_UNAVAILABLE, code="TEMPORARILY_UNAVAILABLE") from error


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except Unfit as unfit:
        raise Refused(str(unfit)) from unfit


def _unauthorized(why: str) -> Refused:
    return Refused(why, status=HTTPStatus.UNAUTHORIZED, code="UNAUTHENTICATED")


def _content_type(scope: Scope) -> str:
    """Return the header; two of them are no known type, as MLflow might read the other one."""
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"content-type")
