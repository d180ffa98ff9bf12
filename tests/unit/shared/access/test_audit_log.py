"""The audit as lines of JSON."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.access.acts import Act
from shared.access.audit import NO_HASH, AuditEntry, NewEntry
from shared.access.callers import environment_caller
from shared.sql.access.audit_log import ANCHOR_EVERY, log_to

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def entry(number: int) -> AuditEntry:
    act = Act(environment_caller(1), "cancelJob", "10.0.0.7", "r-1")
    return AuditEntry.after(number - 1, NO_HASH, NewEntry.of(act, "job:a\nb"), NOON)


def test_each_entry_is_a_line_and_the_file_is_private_and_may_be_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    write = log_to(str(file))
    write([entry(1), entry(2)])
    assert [json.loads(line) for line in file.read_text().splitlines()] == [entry(1).record(), entry(2).record()]
    assert file.stat().st_mode & 0o777 == 0o600
    file.rename(tmp_path / "audit.jsonl.1")
    write([entry(3)])
    assert json.loads(file.read_text())["number"] == 3


@pytest.mark.parametrize("where", ["-", "stdout"])
def test_stdout_gets_the_same_lines(where: str, capfd: pytest.CaptureFixture[str]) -> None:
    log_to(where)([entry(1)])
    assert json.loads(capfd.readouterr().out) == entry(1).record()


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log_to(str(tmp_path / "nowhere" / "audit.jsonl"))([entry(1)])
    assert [record.message for record in caplog.records] == ["the audit's lines cannot be written"]


def test_an_anchor_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_to("")([entry(number) for number in range(1, 2 * ANCHOR_EVERY + 1)])
    anchors = [getattr(record, "anchor", "") for record in caplog.records]
    assert anchors == [f"{each.number}:{each.hash}" for each in (entry(ANCHOR_EVERY), entry(2 * ANCHOR_EVERY))]
