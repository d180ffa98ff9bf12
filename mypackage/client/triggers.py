"""The client's calls about triggers, which let retrainings start by themselves."""

from collections.abc import Mapping
from datetime import datetime
from json import dumps
from typing import Any
from urllib.parse import quote

from .http import Call, Http
from .job import JobHandle, submit
from .times import as_time

LARGEST_PAGE = 200


class Triggers:
    """The service's triggers. Created by Client, as ``client.triggers``.

    Each method that takes a name raises Refused with the code TRIGGER_NOT_FOUND if there is no such trigger.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    def all(self) -> list[dict[str, Any]]:
        """Return all triggers, by name."""
        triggers: list[dict[str, Any]] = self._read("GET", "/triggers")["triggers"]
        return triggers

    def pause_of_all(self) -> dict[str, Any] | None:
        """Return since when no trigger fires, and why; None while they do."""
        pause: dict[str, Any] | None = self._read("GET", "/triggers")["pause"]
        return pause

    def get(self, name: str) -> dict[str, Any]:
        """Return one, with its last event and when it fires next."""
        return self._read("GET", _path(name))

    def add(self, /, **trigger: Any) -> dict[str, Any]:
        """Add one, with the fields of POST /triggers; a secret that was made for it is only in this answer.

        Raises Refused with the code TRIGGER_EXISTS if the name is taken.
        """
        return self._read("POST", "/triggers", trigger)

    def change(self, name: str, /, *, version: int | None = None, **trigger: Any) -> dict[str, Any]:
        """Replace what it does, with the same fields; stored credentials stay with their addresses.

        With ``version``, only that one is changed: otherwise it raises Refused with the code TRIGGER_CHANGED.
        """
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        fields = {field: value for field, value in trigger.items() if field != "name"}
        return self._read("PUT", _path(name), fields, headers)

    def check(self, /, **trigger: Any) -> dict[str, Any]:
        """Return what adding or changing it would do (create, change, nothing), and each difference; do nothing."""
        return self._read("POST", "/triggers/check", trigger)

    def backtest(self, name: str, /, *, since: datetime | str, **fields: Any) -> dict[str, Any]:
        """Return what it would have started since then under its policy and others; do nothing.

        ``fields`` are those of POST /triggers/backtest; without template and when it is the recorded trigger.
        """
        return self._read("POST", "/triggers/backtest", {"trigger": name, "since": as_time(since), **fields})

    def delete(self, name: str) -> None:
        """Delete it with its events; its jobs stay."""
        self._http.send(Call("DELETE", _path(name)))

    def pause(self, name: str, reason: str = "") -> dict[str, Any]:
        """Let it fire nothing until it is resumed."""
        return self._read("POST", f"{_path(name)}/pause", {"reason": reason})

    def resume(self, name: str, reason: str = "") -> dict[str, Any]:
        """Let it fire again, for what happens from now on."""
        return self._read("POST", f"{_path(name)}/resume", {"reason": reason})

    def pause_all(self, reason: str = "") -> None:
        """Let no trigger fire."""
        self._read("POST", "/triggers/pause", {"reason": reason})

    def resume_all(self, reason: str = "") -> None:
        """Let those fire again that are not paused themselves."""
        self._read("POST", "/triggers/resume", {"reason": reason})

    def fire(self, name: str, reason: str = "") -> JobHandle:
        """Submit its job now, whatever its policy says."""
        return submit(self._http, f"{_path(name)}/fire", {"reason": reason})

    def events(
        self, name: str, *, until: datetime | str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Return what happened to it, the newest first, at most ``limit``; with ``until``, what was known then."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"until": as_time(until)} if until else {}
        while limit is None or len(found) < limit:
            size = LARGEST_PAGE if limit is None else min(limit - len(found), LARGEST_PAGE)
            page, _ = self._http.read_object(Call("GET", f"{_path(name)}/events", {**query, "limit": size}))
            found += page["events"]
            if not page["next"]:
                break
            query["before"] = found[-1]["number"]
        return found

    def _read(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        text = None if body is None else dumps(body, allow_nan=False)
        answer, _ = self._http.read_object(Call(method, path, body=text, headers=headers or {}))
        return answer


def _path(name: str) -> str:
    return f"/triggers/{quote(name, safe='')}"
