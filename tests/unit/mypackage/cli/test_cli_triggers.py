"""`retrain triggers` against the API's own app, over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mypackage.client import Client, Refused
from shared.jobs.triggers import Occurrence, Outcome, Verdict
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand, at_a_terminal
from tests.support.servers.served_app import ServedApp, served
from tests.unit.conftest import BODY, MakeApp

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "template": BODY,
    "when": {"cron": "30 2 * * *", "time_zone": "Europe/Berlin"},
}


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    return RetrainCommand(server.url)


def write(path: str, **fields: Any) -> None:
    """Write a trigger's file."""
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(yaml.safe_dump({**NIGHTLY, **fields}))


def test_a_trigger_from_a_file_is_added_listed_and_changed(run: RetrainCommand) -> None:
    write("nightly.yaml")
    assert run("triggers", "add", "nightly.yaml").stdout == (
        "Trigger nightly, version 1: cron 30 2 * * * (Europe/Berlin).\n"
    )
    assert "TRIGGER_EXISTS" in run("triggers", "add", "nightly.yaml", code=2).stderr
    write("nightly.yaml", when={"every": 60})
    assert "version 2: every 60 s" in run("triggers", "add", "nightly.yaml", "--replace").stdout
    assert run("triggers", "list").stdout.split("\t")[:3] == ["nightly", "active", "every 60 s"]
    assert "when: every 60 s\n" in run("triggers", "show", "nightly").stdout


def test_a_secret_that_was_made_is_printed_once(run: RetrainCommand) -> None:
    write("drifted.yaml", name="drifted", when={"signal": {}})
    printed = run("triggers", "add", "drifted.yaml").stdout.rsplit(": ", 1)[1].strip()
    assert len(printed) >= 32
    assert printed not in run("triggers", "show", "drifted", "--json").stdout


def test_why_says_what_happened_and_what_comes_next(run: RetrainCommand, store: MemoryStore) -> None:
    write("drifted.yaml", name="drifted", when={"signal": {"metric": "drift", "above": 0.2}})
    run("triggers", "add", "drifted.yaml")
    first = run("triggers", "why", "drifted").stdout.splitlines()
    assert first[:2] == ["Trigger drifted: signal above 0.2, metric drift.", "Last: nothing has happened yet."]
    store.report("drifted", Occurrence("a", datetime.now(UTC)), noted=Verdict(Outcome.REFUSED, "signature wrong"))
    assert " refused: signature wrong." in run("triggers", "why", "drifted").stdout
    job = json.loads(run("triggers", "fire", "drifted", "--reason", "a demo", "--json").stdout)["id"]
    assert f" fired, job {job}: by hand." in run("triggers", "why", "drifted").stdout
    assert "fired by: trigger drifted, fire: reason a demo\n" in run("status", job).stdout
    run("triggers", "pause", "drifted", "--reason", "the data moves")
    assert "(the data moves): retrain triggers resume drifted." in run("triggers", "why", "drifted").stdout
    then = run("triggers", "why", "drifted", "--at", "2020-01-01T00:00:00Z").stdout.splitlines()
    assert then[1:] == ["By 2020-01-01T00:00:00Z: nothing had happened that is still known."]
    outcomes = [line.split("\t")[1] for line in run("triggers", "events", "drifted").stdout.splitlines()]
    assert outcomes == ["fired", "refused"]


def test_a_ticks_next_time_is_told(run: RetrainCommand) -> None:
    write("nightly.yaml")
    run("triggers", "add", "nightly.yaml")
    assert ":30:00Z." in run("triggers", "why", "nightly").stdout.splitlines()[-1]


def test_all_are_paused_and_resumed(run: RetrainCommand, server: ServedApp) -> None:
    write("nightly.yaml")
    run("triggers", "add", "nightly.yaml")
    run("triggers", "pause", "--all", "--reason", "night")
    assert "All triggers are paused since" in run("triggers", "why", "nightly").stdout
    assert "No trigger fires" in at_a_terminal("--url", server.url, "triggers", "list")
    run("triggers", "resume", "--all")
    assert "paused" not in run("triggers", "why", "nightly").stdout
    assert "Give a NAME, or --all" in run("triggers", "pause", code=2).stderr
    assert "Give a NAME, or --all" in run("triggers", "resume", "nightly", "--all", code=2).stderr


def test_a_folder_is_applied_after_a_look_at_what_would_change(run: RetrainCommand) -> None:
    write("all/a.yaml", name="a")
    write("all/b.yml", name="b", template={**BODY, "git_uri": "https://${TRIGGER_TOKEN}@github.com/u/i.git"})
    write("other.yaml", name="old")
    run("triggers", "add", "other.yaml")
    assert "TRIGGER_TOKEN, which is not set" in run("triggers", "apply", "all", code=2).stderr
    token: dict[str, Any] = {"TRIGGER_TOKEN": "ghp_0123456789abcdef"}
    dry = run("triggers", "apply", "all", "--dry-run", "--prune", **token).stdout
    assert dry.splitlines() == ["create a", "create b", "delete old"]
    assert [line.split("\t")[0] for line in run("triggers", "list").stdout.splitlines()] == ["old"]
    assert run("triggers", "apply", "all", "--prune", **token).stdout == dry
    write("all/a.yaml", name="a", policy={"cooldown": 60})
    again = run("triggers", "apply", "all", **token).stdout
    assert again.splitlines() == ["change a", "  /policy/cooldown: (default) -> 60", "unchanged b"]
    assert [line.split("\t")[0] for line in run("triggers", "list").stdout.splitlines()] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "said"), [("- 1\n", "must contain the fields"), ("when: {}\n", "has no name"), ("a: [", "is not YAML")]
)
def test_a_wrong_file_changes_nothing_and_is_named(run: RetrainCommand, text: str, said: str) -> None:
    write("all/a.yaml", name="a")
    Path("all/b.yaml").write_text(text)
    error = run("triggers", "apply", "all", code=2).stderr
    assert "all/b.yaml" in error
    assert said in error
    assert run("triggers", "list").stdout == ""


def test_two_files_with_one_name_are_refused(run: RetrainCommand) -> None:
    write("all/a.yaml")
    write("all/b.yaml")
    assert "which another file of the folder has" in run("triggers", "apply", "all", code=2).stderr


def test_a_deleted_trigger_is_gone(run: RetrainCommand) -> None:
    write("nightly.yaml")
    run("triggers", "add", "nightly.yaml")
    run("triggers", "delete", "nightly")
    assert "TRIGGER_NOT_FOUND" in run("triggers", "show", "nightly", code=2).stderr


def test_the_client_changes_only_the_version_that_was_read(server: ServedApp) -> None:
    triggers = Client(server.url).triggers
    made = triggers.add(**NIGHTLY)
    triggers.change("nightly", **NIGHTLY, policy={"cooldown": 60})
    with pytest.raises(Refused) as refused:
        triggers.change("nightly", **NIGHTLY, version=made["version"])
    assert refused.value.code == "TRIGGER_CHANGED"
    job = triggers.fire("nightly")
    assert [each.id for each in Client(server.url).jobs(trigger="nightly")] == [job.id]
    assert [each["job_id"] for each in triggers.events("nightly")] == [job.id]


def test_a_trigger_that_the_service_refuses_is_named(run: RetrainCommand) -> None:
    write("all/a.yaml", name="a")
    write("all/b.yaml", name="b", when={"crn": "30 2 * * *"})
    error = run("triggers", "apply", "all", "--dry-run", code=2).stderr
    assert "Trigger b:" in error
    assert "when.crn is unknown" in error
