"""What who waits for a job sees: the line that moves, on a recorded console, and the printed lines without one."""

import builtins
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mypackage.client import WaitTimeout
from mypackage.live_line import LiveLine
from mypackage.notebook import find_display
from mypackage.progress import find_console, wait_and_show
from tests.support.waiting import wait_until

CONTROL = re.compile(r"\x1b\[[0-?]*[@-~]")
SUBMITTED = {"at": "12:00:00Z", "to": "queued", "reason": "submitted"}
CLAIMED = {"at": "12:00:01Z", "to": "starting", "reason": "claimed by gpu-1 [bold]\x1b]0;title\x07"}
DONE = {"at": "12:00:02Z", "to": "succeeded", "reason": "the attempt succeeded"}
NO_PLACE = {"name": "default", "position": None, "message": None}


def record(*transitions: dict[str, str], attempts: int = 0, **queue: Any) -> dict[str, Any]:
    return {
        "state": transitions[-1]["to"],
        "attempts": [{}] * attempts,
        "queue": {**NO_PLACE, **queue},
        "transitions": list(transitions),
    }


WAITS = record(SUBMITTED, position=3, message="waits for job 1234 [red]")
STARTS = record(SUBMITTED, CLAIMED, attempts=2)
SUCCEEDED = record(SUBMITTED, CLAIMED, DONE, attempts=2)


@dataclass
class Job:
    """Goes through these records, each as soon as ``file`` shows the one before."""

    records: list[dict[str, Any]]
    file: StringIO | None = None
    fault: Exception | None = None
    record: dict[str, Any] = field(default_factory=dict)
    every: list[float] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return bool(self.record["state"] == "succeeded")

    def watch(self, timeout: float | None = None, *, at_least_every: float = 60) -> Iterator[dict[str, Any]]:
        self.every.append(at_least_every)
        for each in self.records:
            self.record = each
            yield each
            if self.file:
                wait_until(self._is_in_line, what=f"{each['state']} in the line that moves")
        if self.fault:
            raise self.fault

    def _is_in_line(self) -> bool:
        assert self.file
        return f"{self.record['state']}, " in CONTROL.sub("", self.file.getvalue())


def shown(job: Job, *, width: int = 120) -> list[str]:
    """All that a terminal got, a line each time that one was written; without colours and movements."""
    file = job.file = StringIO()
    console = Console(file=file, force_terminal=True, force_jupyter=False, width=width)
    job.record = job.records[0]
    with suppress(WaitTimeout):
        wait_and_show(job, None, console=console)
    assert "\x1b]" not in file.getvalue()
    return [line.strip() for line in CONTROL.sub("", file.getvalue()).replace("\r", "\n").splitlines() if line.strip()]


def test_changes_stand_above_a_line_that_says_how_it_goes_now() -> None:
    lines = shown(Job([WAITS, STARTS, SUCCEEDED]))
    changes = ["12:00:00Z  queued      submitted", "12:00:01Z  starting    claimed by gpu-1 [bold]"]
    assert [line for line in lines if line in changes] == changes
    moving = [line.partition(" 0:00:0")[2] for line in lines if "━" in line]
    assert any(line.endswith(" queued, place 3 in the queue default, waits for job 1234 [red]") for line in moving)
    assert any(line.endswith(" starting, attempt 2") for line in moving)
    assert lines[-1].endswith(" succeeded, attempt 2")


def test_each_change_is_told_once_and_the_place_in_the_queue_is_asked_for_again_soon() -> None:
    job = Job([WAITS, WAITS, STARTS, SUCCEEDED])
    text = "\n".join(shown(job))
    assert [text.count(change["at"]) for change in (SUBMITTED, CLAIMED, DONE)] == [1, 1, 1]
    assert job.every == [10]


def test_a_wait_that_takes_too_long_leaves_the_line_as_it_was_and_the_cursor_visible() -> None:
    job = Job([WAITS], fault=WaitTimeout("over"))
    assert shown(job)[-1].endswith("waits for job 1234 [red]")
    assert job.file
    assert job.file.getvalue().endswith("\x1b[?25h")


def test_on_a_narrow_terminal_the_line_stays_one_line() -> None:
    job = Job([record(SUBMITTED, position=3, message="waits " * 50)])
    shown(job, width=60)
    assert job.file
    assert "…" in job.file.getvalue()


def test_what_is_printed_above_keeps_its_blanks_and_is_not_wrapped() -> None:
    file, job = StringIO(), Job([SUCCEEDED], record=SUCCEEDED)
    with LiveLine(job, Console(file=file, force_terminal=True, width=40)) as line:
        line.print("  epoch 1   [bold]" + "x" * 100)
    assert "  epoch 1   [bold]" + "x" * 100 in file.getvalue()


def test_where_nobody_looks_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job([WAITS, STARTS, SUCCEEDED])
    wait_and_show(job, None)
    printed = ["queued: submitted", "starting: claimed by gpu-1 [bold]", "succeeded: the attempt succeeded"]
    assert capsys.readouterr().out.splitlines() == printed
    assert job.every == [60]


class Terminal(StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


def look_at(stdout: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the test itself: pytest takes stdout back between a fixture and its test."""
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def test_at_a_terminal_the_line_moves_and_at_one_that_cannot_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(Terminal(), monkeypatch)
    assert find_console() is not None
    monkeypatch.setenv("TERM", "dumb")
    assert find_console() is None


def test_in_a_file_it_does_not_move_even_where_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(StringIO(), monkeypatch)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert find_console() is None


def test_without_rich_it_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(Terminal(), monkeypatch)
    alone = builtins.__import__

    def without_rich(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "rich":
            raise ImportError(name)
        return alone(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    assert find_console() is None


class Notebook:
    """The part of IPython that shows outputs, in a kernel or at a terminal."""

    def __init__(self, shell: object) -> None:
        self.shell = shell
        self.outputs: list[list[str]] = []

    def get_ipython(self) -> object:
        return self.shell

    def display(self, output: dict[str, str], *, raw: bool, display_id: bool) -> "Notebook":
        assert raw
        assert display_id
        self.outputs.append([output["text/plain"]])
        return self

    def update(self, output: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.outputs[-1].append(output["text/plain"])


def test_in_a_notebook_one_output_is_replaced_and_no_widget_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook(SimpleNamespace(kernel=object()))
    ipython = SimpleNamespace(get_ipython=notebook.get_ipython, display=SimpleNamespace(display=notebook.display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    job = Job([WAITS, STARTS, SUCCEEDED])
    wait_and_show(job, None)
    (texts,) = notebook.outputs
    assert texts[0].splitlines() == [
        "12:00:00Z  queued      submitted",
        "queued, place 3 in the queue default, waits for job 1234 [red]",
    ]
    assert "\x1b" not in texts[1]
    assert texts[-1].splitlines()[2:] == ["12:00:02Z  succeeded   the attempt succeeded", "succeeded, attempt 2"]
    assert capsys.readouterr().out == ""
    assert job.every == [10]


def test_in_ipython_at_a_terminal_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert find_display() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert find_display() is None
