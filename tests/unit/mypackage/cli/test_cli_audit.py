"""`retrain audit` and Client.audit(), against the API's own app, over HTTP; and what the chain shows."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mypackage.audit_chain import Anchor, verify
from mypackage.client import Client
from shared.access.acts import Act, acting
from shared.access.audit import AuditFilter
from shared.access.callers import environment_caller
from tests.fakes.store import MemoryStore
from tests.support.jobs import submit
from tests.support.retrain_command import RetrainCommand, at_a_terminal
from tests.support.servers.served_app import ServedApp, served
from tests.unit.conftest import MakeApp

Records = list[dict[str, Any]]


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    return RetrainCommand(server.url)


def act(store: MemoryStore, count: int = 5) -> None:
    for number in range(count):
        with acting(Act(environment_caller(number % 2 + 1), "retrain", "10.0.0.7", f"r-{number}")):
            submit(store)


@pytest.fixture
def records() -> Records:
    """Five entries, the newest first."""
    store = MemoryStore()
    act(store)
    return [each.record() for each in store.list_audit(AuditFilter(), limit=9)]


def test_a_line_for_each_entry_the_newest_first(run: RetrainCommand, store: MemoryStore) -> None:
    act(store)
    lines = [line.split("\t") for line in run("audit", "--caller", "env-1", "--since", "2d").stdout.splitlines()]
    assert [(line[0], line[2], line[5], line[7], line[9]) for line in lines] == [
        (number, "env-1", "retrain", "done", "10.0.0.7") for number in ("5", "3", "1")
    ]
    assert run("audit", "--until", "1d").stdout == ""
    assert run("audit", "--outcome", "refused").stdout == ""


def test_json_is_what_the_client_returns_and_as_many_as_asked_for(
    run: RetrainCommand, server: ServedApp, store: MemoryStore
) -> None:
    act(store)
    found = json.loads(run("audit", "--limit", "3", "--json").stdout)
    assert [each["number"] for each in found] == [5, 4, 3]
    assert list(Client(server.url).audit(limit=3)) == found


def test_the_table_fits_eighty_columns_and_obeys_no_escape(server: ServedApp, store: MemoryStore) -> None:
    with acting(Act(environment_caller(1), "fireTrigger", "::1", "r")):
        submit(store)
    store._audit[0] = replace(store._audit[0], reason="\x1b[2J[red]" + "long " * 40)
    shown = at_a_terminal("--url", server.url, "audit", COLUMNS="80")
    assert "env-1" in shown
    assert "[red]" in shown
    assert "\x1b[2J" not in shown
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80, lines


def test_verify_reads_all_pages_and_prints_an_anchor_that_holds_later(
    run: RetrainCommand, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mypackage.client.audit.LARGEST_PAGE", 2)
    assert run("audit", "verify").stdout == "Nothing is recorded.\n"
    act(store)
    said = run("audit", "verify").stdout
    assert said.startswith("5 entries, from 1 to 5: each follows on the one before. Anchor: 5:")
    anchor = said.split()[-1]
    act(store)
    run("audit", "verify", "--anchor", anchor)
    del store._audit[4:]
    cut = run("audit", "verify", "--anchor", anchor, code=1).stdout
    assert "the record ends with entry 4, but entry 5 was there" in cut
    run("audit", "verify")
    run("audit", "verify", "--anchor", "5:abc", code=2)


def test_verify_names_the_entry_that_was_changed_and_ends_with_1(run: RetrainCommand, store: MemoryStore) -> None:
    act(store)
    store._audit[2] = replace(store._audit[2], caller="nobody-in-particular")
    said = run("audit", "verify", code=1).stdout
    assert said == "The record is not as it was written: entry 3 was changed, or entry 2 was.\n"


def test_verify_reads_a_file_whose_lines_are_in_another_order(
    run: RetrainCommand, records: Records, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in [*records[1::2], *records[:4:2]]))  # from the second on
    assert run("audit", "verify", str(file)).stdout.startswith("4 entries, from 2 to 5: each follows")
    file.write_text("".join(f"{json.dumps(each)}\n" for each in (records[0], records[2])))
    assert "entry 4 is missing" in run("audit", "verify", str(file), code=1).stdout
    file.write_text("[1]\n")
    assert "is not a file of AUDIT_LOG" in run("audit", "verify", str(file), code=1).stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: found, ""),
        (lambda found: found[:2] + found[3:], "entry 3 is missing"),
        (lambda found: found[:1] + found[4:], "entries 2 to 4 are missing"),
        (lambda found: found[:-1], "entry 1 is missing"),
        (lambda found: [*found[:3], {**found[3], "subject": "job:another"}, found[4]], "entry 2 was changed"),
        (lambda found: [*found[:4], {**found[4], "at": "2020-01-01T00:00:00.000000Z"}], "entry 1 was changed"),
        (lambda found: [*found[:3], {**found[3], "hash": "a" * 64}, found[4]], "entry 2 was changed"),
        (lambda found: [*found[:2], found[2], *found[2:]], "entry 3 is there twice"),
        (lambda found: found[2:], ""),  # what an anchor is for
    ],
)
def test_the_first_place_where_the_chain_is_broken(
    records: Records, change: Callable[[Records], Records], problem: str
) -> None:
    found = verify(change(records))
    assert found.problem.startswith(problem)
    assert bool(found.problem) == bool(problem)


def test_an_anchor_shows_a_record_that_was_written_again_from_the_beginning(records: Records) -> None:
    store = MemoryStore()
    act(store)
    again = [each.record() for each in store.list_audit(AuditFilter(), limit=9)]
    noted = Anchor(records[1]["number"], records[1]["hash"])
    assert verify(records, anchor=noted).problem == ""
    assert verify(again).problem == ""
    assert "was written again" in verify(again, anchor=noted).problem
