"""`retrain usage` and Client.usage(), against the API's own app, over HTTP."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mypackage.client import Client
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED
from tests.support.retrain_command import RetrainCommand, at_a_terminal
from tests.support.servers.served_app import ServedApp, served
from tests.unit.api.test_usage import train
from tests.unit.conftest import MakeApp

STYLE = re.compile(r"\x1b\[[0-9;]*m")
ALL = ("--since", "2030-01", "--until", "2030-12")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(clock: HeldClock) -> MemoryStore:
    store = MemoryStore(limits=Limits(per_key=100), clock=clock)
    train(store, clock, hours=2, gpus=2, model_name="iris", team="vision")
    train(store, clock, hours=1, gpus=1, model_name="iris", ends=FAILED)
    train(store, clock, hours=0.5, model_name="words")
    train(store, clock, hours=0.25)
    return store


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    return RetrainCommand(server.url)


def test_a_line_for_each_model_those_that_used_most_first(run: RetrainCommand) -> None:
    lines = [line.split("\t") for line in run("usage", *ALL).stdout.splitlines()]
    assert lines == [
        ["iris", "2", "3.00", "5.00", "0.00", "0.50", "1.00", "1", "0", "0"],
        ["words", "1", "0.50", "0.00", "0.00", "0.25", "0.00", "0", "0", "0"],
        ["", "1", "0.25", "0.00", "0.00", "0.25", "0.00", "0", "0", "0"],
    ]


def test_json_is_the_api_s_report_of_what_was_asked_for(run: RetrainCommand, server: ServedApp) -> None:
    report = json.loads(run("usage", *ALL, "--by", "team", "--model", "iris", "--limit", "1", "--json").stdout)
    assert (report["by"], report["left_out"], report["total"]["hours"]) == ("team", 1, 3.0)
    asked = {"since": "2030-01", "until": "2030-12", "by": "team", "model": "iris", "limit": 1}
    assert Client(server.url).usage(**asked) == report  # type: ignore[arg-type]


def test_people_see_a_table_with_the_sum_and_how_much_of_it_has_no_row(server: ServedApp) -> None:
    shown = STYLE.sub("", at_a_terminal("--url", server.url, "usage", *ALL, "--limit", "1")).splitlines()
    assert shown[0].split()[:4] == ["model", "attempts", "hours", "GPU-hours"]
    assert shown[1].split()[:3] == ["iris", "2", "3.00"]
    assert shown[2].split()[:4] == ["in", "all", "4", "3.75"]
    assert shown[3] == "2 more rows are in the sum only; --limit shows more."
    nothing = at_a_terminal("--url", server.url, "usage", "--until", "2020-01")
    assert nothing.strip() == "Nothing was used in these months."


def test_what_is_no_month_is_refused_with_the_api_s_words(run: RetrainCommand) -> None:
    assert "since" in run("usage", "--since", "yesterday", code=2).stderr
