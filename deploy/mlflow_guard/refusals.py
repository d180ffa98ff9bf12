"""Lists what was refused to each attempt, and keeps the list as a tag of the attempt's MLflow run."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from deploy.mlflow_guard.bounded import Bounded
from deploy.mlflow_guard.layer import Refused
from deploy.mlflow_guard.owners import Mlflow
from deploy.mlflow_guard.routes import API
from mypackage.protocol import REFUSED_TAG
from shared.secrets.attempt_tokens import Grant

MOST_DIFFERENT = 20  # in an attempt's list
MOST_ATTEMPTS = 1000
CALL_CHARACTERS, OBJECT_CHARACTERS = 80, 120
TAG_CHARACTERS = 5000  # in older versions of MLflow
API_PREFIX = re.compile(r"^/api/[23]\.0/mlflow(-artifacts)?/")
# The first of these that a request names is what it is about.
SUBJECTS = ("name", "run_id", "run_uuid", "model_id", "trace_id", "dataset_id", "artifact_path", "experiment_id")

logger = logging.getLogger(__name__)


@dataclass
class _List:
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    is_read: bool = False  # what a guard before this one wrote
    is_new: bool = False  # something that is not written yet


class Refusals:
    """The lists of all attempts; at most one write of each is under way."""

    def __init__(self, mlflow: Mlflow) -> None:
        self._mlflow = mlflow
        self._lists: Bounded[str, _List] = Bounded(MOST_ATTEMPTS)
        self._writing: dict[str, asyncio.Task[None]] = {}

    def note(self, grant: Grant, call: str, what: str) -> "asyncio.Task[None]":
        """Add a refusal to the attempt's list; return the write that will have it."""
        kept = self._lists.find(grant.run_id) or _List()
        self._lists.put(grant.run_id, kept)
        _count(kept, _shown(call, CALL_CHARACTERS), _shown(what, OBJECT_CHARACTERS), 1)
        kept.is_new = True
        if grant.run_id not in self._writing:
            self._writing[grant.run_id] = asyncio.create_task(self._write(grant.run_id, kept))
        return self._writing[grant.run_id]

    async def _write(self, run_id: str, kept: _List) -> None:
        try:
            if not kept.is_read:
                await self._read(run_id, kept)
            while kept.is_new:
                kept.is_new = False
                await self._put(run_id, kept)
        except Refused as error:  # MLflow does not answer; the next refusal writes all of them
            logger.warning("refusals not kept", extra={"run_id": run_id, "error": str(error)})
        finally:
            del self._writing[run_id]

    async def _read(self, run_id: str, kept: _List) -> None:
        answer = await self._mlflow.ask("GET", f"{API}/runs/get", query={"run_id": run_id})
        run = (answer.said or {}).get("run") or {}
        tags = {each["key"]: each["value"] for each in (run.get("data") or {}).get("tags") or ()}
        for each in json.loads(tags.get(REFUSED_TAG) or "[]"):
            _count(kept, each["call"], each["object"], each["count"])
        kept.is_read = True

    async def _put(self, run_id: str, kept: _List) -> None:
        listed = [{"call": call, "object": what, "count": count} for (call, what), count in kept.counts.items()]
        while len(text := json.dumps(listed, ensure_ascii=False)) > TAG_CHARACTERS:
            listed.pop()
        body = {"run_id": run_id, "key": REFUSED_TAG, "value": text}
        answer = await self._mlflow.ask("POST", f"{API}/runs/set-tag", body=body)
        if answer.status != HTTPStatus.OK:
            logger.warning("refusals not kept", extra={"run_id": run_id, "status": answer.status})


def call_of(method: str, path: str) -> str:
    """Return the call as it is listed: without what all of MLflow's addresses begin with."""
    return f"{method} {API_PREFIX.sub('', path)}"


def object_of(said: Mapping[str, Any]) -> str:
    """Return what a request is about, such as ``iris@champion``, from the fields of its address and body."""
    subject = next((str(said[name]) for name in SUBJECTS if said.get(name)), "")
    alias, version, key = (said.get(name) for name in ("alias", "version", "key"))
    part = f"@{alias}" if alias else f"/{version}" if version else ""
    return f"{subject}{part}{f' {key}' if key else ''}"


def _count(kept: _List, call: str, what: str, count: int) -> None:
    key = (call, what)
    if key in kept.counts or len(kept.counts) < MOST_DIFFERENT:
        kept.counts[key] = kept.counts.get(key, 0) + count


def _shown(text: str, most: int) -> str:
    plain = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
