"""`retrain triggers backtest` against the API's own app, with the history of real git repositories."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from mypackage.cli.triggers.history import changes_of
from tests.support.retrain_command import ROOT, RetrainCommand, at_a_terminal, git
from tests.support.servers.served_app import ServedApp, served
from tests.unit.conftest import BODY, MakeApp

FILE = "nightly.yaml"
POLICIES = {"weekly": {"cooldown": 604800 - 60}, "changed": {"skip_if_same_inputs": True}}


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RetrainCommand:
    monkeypatch.chdir(tmp_path)
    write()
    return RetrainCommand(server.url)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that changed 100, 20 and 10 days ago."""
    folder = tmp_path / "data"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for days in (100, 20, 10):
        monkeypatch.setenv("GIT_COMMITTER_DATE", ago(days))
        (folder / "data.csv").write_text(str(days))
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", f"data of {days} days ago")
    return folder


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


def write(**fields: Any) -> None:
    template = {**BODY, "resources": {"gpus": 1, "cpus": 4.0}}
    nightly = {"name": "nightly", "template": template, "when": {"cron": "30 2 * * *"}, "policies": POLICIES}
    Path(FILE).write_text(yaml.safe_dump({**nightly, **fields}))


def test_each_policy_of_the_file_has_a_line(run: RetrainCommand, data: Path) -> None:
    done = run("triggers", "backtest", FILE, "--since", "30d", "--git", str(data))
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
    assert rows["policy"][0] == "30"
    assert rows["weekly"][0] in ("4", "5")
    assert rows["changed"][:2] == ["3", "27 skip_if_same_inputs"]
    assert rows["changed"][3:5] == ["unknown", "unknown"]
    assert rows["changed"][5].endswith(" h")
    assert "3 changes of the data and 0 of the code are known" in done.stderr


def test_the_pages_example_works(run: RetrainCommand) -> None:
    page = (ROOT / "docs/triggers.md").read_text()
    Path(FILE).write_text(page.partition("<!-- backtest -->\n```yaml\n")[2].partition("```")[0])
    rows = run("triggers", "backtest", FILE).stdout.splitlines()
    assert [row.split("\t")[0] for row in rows] == ["policy", "weekly", "changed"]


def test_json_has_everything_and_the_picture_is_written(run: RetrainCommand) -> None:
    found = json.loads(run("triggers", "backtest", FILE, "--since", "7d", "--svg", "out.svg", "--json").stdout)
    assert set(found["policies"]) == {"policy", "weekly", "changed"}
    assert Path("out.svg").read_text() == found["picture"]


def test_people_get_a_table(run: RetrainCommand, server: ServedApp) -> None:
    shown = at_a_terminal("--url", server.url, "triggers", "backtest", FILE, "--since", "7d")
    assert "model at most so old" in shown
    assert "weekly" in shown


def test_a_file_with_policies_can_be_added_all_the_same(run: RetrainCommand) -> None:
    run("triggers", "add", FILE)
    assert "weekly" not in run("triggers", "show", "nightly", "--json").stdout


def test_a_clone_of_an_address_tells_the_same_as_the_folder(data: Path) -> None:
    since = datetime.now(UTC) - timedelta(days=30)
    of_folder = changes_of(str(data), since=since, of="data")
    assert [each["at"][:10] for each in of_folder] == [ago(days)[:10] for days in (100, 20, 10)]
    assert changes_of(data.as_uri(), since=since, of="data") == of_folder
    assert [each["of"] for each in changes_of(str(data), since=since, of="code")] == ["code"] * 3


@pytest.mark.parametrize("repository", ["https://u:hunter2@127.0.0.1:9/data.git", "--upload-pack=touch x", "gone"])
def test_a_repository_that_cannot_be_read_is_said_without_its_password(
    repository: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError) as caught:
        changes_of(repository, since="2030-01-01T00:00:00Z", of="data")
    assert "hunter2" not in caught.value.message
    assert [*tmp_path.iterdir()] == []


def test_without_git_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_git(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", no_git)
    with pytest.raises(click.UsageError, match="git cannot be run here"):
        changes_of(str(tmp_path), since="2030-01-01T00:00:00Z", of="data")
