"""Tracks which gates of a model are deciding now, and which versions each made champion, in the model's tags.

A tag ``retrain.gate.<alias>.<version>`` belongs to the gate that registered this version. It is "open" or "done", with
the time at which the gate opened and the versions to which it has moved the alias, or is about to.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from mlflow.tracking import MlflowClient

from ..protocol import GATE_TAGS

MARK = re.compile(r"(open|done) (\d{1,12})((?: \d{1,9})*)", re.ASCII)
# A killed gate stays open. A live one decides within seconds, or minutes if the registry is slow.
ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class Mark:
    """The mark of one gate."""

    is_open: bool
    opened_at: int  # seconds since the epoch, by the clock of the gate's machine
    moved_to: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(["open" if self.is_open else "done", str(self.opened_at), *self.moved_to])


class OpenGates:
    """The marks of a model's gates; ours is that of our version."""

    def __init__(
        self, client: MlflowClient, model_name: str, alias: str, version: str, *, now: Callable[[], float] = time.time
    ) -> None:
        self._client, self._model_name, self._version, self._now = client, model_name, version, now
        self._prefix = f"{GATE_TAGS}{alias}."
        self._mark = Mark(is_open=True, opened_at=int(now()))
        self._put(self._mark)
        self._over = self._ended()

    def announce_move(self, version: str) -> None:
        """Record that we are about to move the alias to this version. Call it before moving."""
        if version not in self._mark.moved_to:
            self._put(Mark(True, self._mark.opened_at, (*self._mark.moved_to, version)))

    def rivals(self) -> set[str]:
        """Return the versions to which others moved the alias, or are about to, since we opened."""
        others = {gate: mark for gate, mark in self._all().items() if gate not in self._over and gate != self._version}
        return {version for mark in others.values() for version in mark.moved_to} | set(self._mark.moved_to)

    def close(self) -> None:
        """Record that we have decided. The last gate removes all marks: none is needed any more."""
        self._put(Mark(False, self._mark.opened_at, self._mark.moved_to))
        marks = self._all()
        ended = {gate for gate, mark in marks.items() if self._has_ended(mark)}
        if ended == set(marks):
            for gate in ended:
                self._client.delete_registered_model_tag(self._model_name, f"{self._prefix}{gate}")

    def _ended(self) -> set[str]:
        return {gate for gate, mark in self._all().items() if self._has_ended(mark)}

    def _has_ended(self, mark: Mark) -> bool:
        return not mark.is_open or abs(self._now() - mark.opened_at) > ABANDONED_SECONDS  # even by a wrong clock

    def _all(self) -> dict[str, Mark]:
        """Read all marks at once; other tags are ignored."""
        tags = self._client.get_registered_model(self._model_name).tags or {}
        found = {name: MARK.fullmatch(str(text)) for name, text in tags.items() if name.startswith(self._prefix)}
        return {
            name.removeprefix(self._prefix): Mark(match[1] == "open", int(match[2]), tuple(match[3].split()))
            for name, match in found.items()
            if match
        }

    def _put(self, mark: Mark) -> None:
        self._client.set_registered_model_tag(self._model_name, f"{self._prefix}{self._version}", str(mark))
        self._mark = mark
