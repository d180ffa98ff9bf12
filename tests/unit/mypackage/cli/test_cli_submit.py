"""retrain submit: from options, from a file, and from the git checkout that it is called in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from mypackage.cli.submit import complete
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand, git, make_checkout
from tests.support.servers.served_app import served
from tests.unit.conftest import BODY, MakeApp


@pytest.fixture
def run(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetrainCommand]:
    monkeypatch.chdir(tmp_path)
    with served(make_app, monkeypatch) as start:
        yield RetrainCommand(start(alert_webhooks="team-a=json:https://hooks.example/hunter2").url)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def in_checkout(run: RetrainCommand, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(checkout)
    return checkout


def submitted(result: Result) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(result.stdout)["request"]
    return request


def test_a_job_is_submitted_from_options(run: RetrainCommand) -> None:
    options = ["--experiment-name", "iris", "--git-uri", BODY["git_uri"], "-P", "a=b=c", "--label", "team=x"]
    request = submitted(run("submit", *options, "--priority", "7", "--json"))
    assert request["parameters"] == {"a": "b=c"}
    assert (request["labels"], request["priority"]) == ({"team": "x"}, 7)


def test_options_say_where_it_may_run_and_the_files_other_resources_stay(run: RetrainCommand) -> None:
    Path("job.yaml").write_text(json.dumps({**BODY, "resources": {"gpus": 2, "host": "gpu-9"}}))
    options = ["--host", "gpu-1", "--host-label", "b", "--host-label", "a"]
    resources = submitted(run("submit", "--file", "job.yaml", *options, "--json"))["resources"]
    assert (resources["gpus"], resources["host"], resources["host_labels"]) == (2, "gpu-1", ["a", "b"])


def test_alerts_go_to_whom_the_options_name_and_a_name_that_is_unknown_is_refused(run: RetrainCommand) -> None:
    Path("job.yaml").write_text(json.dumps({**BODY, "alerts": {"to": [], "events": ["failed"]}}))
    request = submitted(run("submit", "--file", "job.yaml", "--alert-to", "team-a", "--json"))
    assert request["alerts"] == {"to": ["team-a"], "events": ["failed"]}
    said = run("submit", "--file", "job.yaml", "--alert-to", "team-b", code=2).stderr
    assert "team-b; known are team-a" in said


def test_options_go_before_the_file(run: RetrainCommand) -> None:
    Path("job.yaml").write_text(
        "experiment_name: iris\ngit_uri: https://github.com/user/iris.git\nparameters: {alpha: 0.5, beta: 1}\n"
    )
    request = submitted(run("submit", "--file", "job.yaml", "-P", "beta=2", "--experiment-name", "other", "--json"))
    assert request["experiment_name"] == "other"
    assert request["parameters"] == {"alpha": 0.5, "beta": "2"}


def test_any_field_is_set_over_the_files_and_under_its_own_option(run: RetrainCommand) -> None:
    Path("job.yaml").write_text(json.dumps({**BODY, "resources": {"gpus": 2, "cpus": 1}, "priority": 1}))
    fields = ["resources.gpus=3", "resources.host=gpu-9", "priority=2", "model_name='7'", "labels.a.b=x=y"]
    options = [text for field in fields for text in ("--set", field)]
    request = submitted(run("submit", "--file", "job.yaml", *options, "--priority", "3", "--json"))
    assert {"gpus": 3, "cpus": 1, "host": "gpu-9"}.items() <= request["resources"].items()
    assert (request["priority"], request["model_name"], request["labels"]) == (3, "7", {"a.b": "x=y"})


@pytest.mark.parametrize(
    ("field", "told"),
    [("priority", "NAME=VALUE"), ("=1", "NAME=VALUE"), ("a=[", "not YAML"), ("a=2026-01-31", "quotes")],
)
def test_a_field_that_cannot_be_read_is_refused(run: RetrainCommand, field: str, told: str) -> None:
    assert told in run("submit", "--set", field, code=2).stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: [", "not YAML at line"), ("- a", "must contain fields"), ("a: 2026-01-31", "quotes"), ("a: .nan", "quotes")],
)
def test_a_file_that_is_no_request_is_refused(run: RetrainCommand, text: str, told: str) -> None:
    Path("job.yaml").write_text(text)
    assert told in run("submit", "--file", "job.yaml", code=2).stderr


def test_a_file_that_is_missing_and_a_bad_parameter_are_refused(run: RetrainCommand) -> None:
    assert "cannot be read" in run("submit", "--file", "none.yaml", code=2).stderr
    assert "name=value" in run("submit", "-P", "alpha", code=2).stderr


def test_what_the_service_refuses_is_told_line_by_line(run: RetrainCommand) -> None:
    stderr = run("submit", "--git-uri", "nothing", "--experiment-name", "x\x1b", code=2).stderr
    assert "git_uri" in stderr
    assert "\x1b" not in stderr


def test_a_checkout_gives_repository_commit_and_folder(
    run: RetrainCommand, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout / "training")
    result = run("submit", "--experiment-name", "iris", "--json")
    request = submitted(result)
    assert request["git_uri"] == "https://github.com/user/iris.git"
    assert request["commit_hash"] == git(checkout, "rev-parse", "HEAD")
    assert request["MLproject_location"] == "training"
    assert result.stderr == ""


def test_credentials_of_origin_are_not_sent_and_that_is_said(run: RetrainCommand, in_checkout: Path) -> None:
    git(in_checkout, "remote", "set-url", "origin", "https://user:s3cret@github.com/user/iris.git")
    result = run("submit", "--experiment-name", "iris", "--json")
    assert submitted(result)["git_uri"] == "https://github.com/user/iris.git"
    assert "contains credentials, which were removed" in result.stderr
    assert "s3cret" not in result.output


def test_a_token_for_the_checkouts_own_repository_comes_from_the_environment(
    run: RetrainCommand, store: MemoryStore, in_checkout: Path
) -> None:
    address = "https://s3cret-t0ken@github.com/user/iris.git"
    result = run("submit", "--experiment-name", "iris", "--json", RETRAIN_GIT_URI=address)
    assert submitted(result)["commit_hash"] == git(in_checkout, "rev-parse", "HEAD")
    assert store.get(json.loads(result.stdout)["id"]).had_secret
    assert "s3cret" not in result.output


def test_another_repository_takes_nothing_from_the_checkout(
    run: RetrainCommand, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout / "training")
    result = run("submit", "--experiment-name", "iris", "--git-uri", "https://github.com/user/other.git", "--json")
    assert (submitted(result)["commit_hash"], submitted(result)["MLproject_location"]) == ("main", "")


def test_a_commit_that_is_not_pushed_and_changes_that_are_not_committed_are_warned_of(
    run: RetrainCommand, in_checkout: Path
) -> None:
    git(in_checkout, "commit", "-q", "--allow-empty", "-m", "Second")
    assert "is not pushed" in run("submit", "--experiment-name", "iris").stderr
    (in_checkout / "train.py").touch()
    stderr = run("submit", "--experiment-name", "iris").stderr
    assert "is not pushed" in stderr
    assert "uncommitted changes" in stderr
    assert run("submit", "--experiment-name", "iris", "--commit-hash", "main").stderr == ""


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("git@github.com:user/iris.git", "git@github.com:user/iris.git"),
        ("ssh://git@github.com/user/iris.git", "ssh://git@github.com/user/iris.git"),
        ("https://git@github.com/user/iris.git", "https://github.com/user/iris.git"),
    ],
)
def test_an_origin_is_sent_as_the_service_takes_it(
    run: RetrainCommand, in_checkout: Path, origin: str, sent: str
) -> None:
    git(in_checkout, "remote", "set-url", "origin", origin)
    result = run("submit", "--experiment-name", "iris", "--json")
    assert (submitted(result)["git_uri"], result.stderr) == (sent, "")


def test_an_origin_that_is_no_address_is_asked_for_again(in_checkout: Path) -> None:
    git(in_checkout, "remote", "set-url", "origin", "https://[s3cret@host/x.git")
    with pytest.raises(click.UsageError, match="Give --git-uri") as refused:
        complete({"experiment_name": "iris"}, is_service_here=False)
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize("given", [".", "training/..", "FOLDER", "file://FOLDER"])
def test_a_folder_is_sent_as_an_address_and_its_own_uncommitted_work_is_warned_of(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    folder = make_checkout(tmp_path / "my #1 {w}ork 100%25")
    (folder / "train.py").touch()
    monkeypatch.chdir(folder)
    with served(make_app, monkeypatch) as start:
        run = RetrainCommand(start(git_schemes={"file"}).url)
        address = given.replace("FOLDER", str(folder))
        result = run("submit", "--experiment-name", "iris", "--git-uri", address, "--json")
    assert submitted(result)["git_uri"] == f"file://{tmp_path}/my%20%231%20%7Bw%7Dork%20100%2525"
    assert submitted(result)["commit_hash"] == git(folder, "rev-parse", "HEAD")
    assert result.stderr == "Warning: there are uncommitted changes; they will not be trained.\n"


def test_a_checkout_without_a_remote_is_taken_itself_and_that_is_said(
    make_app: MakeApp, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(checkout, "remote", "remove", "origin")
    monkeypatch.chdir(checkout)
    with served(make_app, monkeypatch) as start:
        result = RetrainCommand(start(git_schemes={"file"}).url)("submit", "--experiment-name", "iris", "--json")
    assert submitted(result)["git_uri"] == checkout.as_uri()
    assert "has no remote 'origin'" in result.stderr
    assert complete_elsewhere() == "Which repository?"


def complete_elsewhere() -> str:
    with pytest.raises(click.UsageError) as refused:
        complete({"experiment_name": "iris"}, is_service_here=False)
    return str(refused.value.message)[:17]


def test_a_path_to_nothing_is_refused_before_anything_is_sent(run: RetrainCommand) -> None:
    told = run("submit", "--experiment-name", "iris", "--git-uri", "./nothing", code=2).stderr
    assert "there is no folder ./nothing" in told


def test_outside_of_a_checkout_the_repository_is_asked_for(run: RetrainCommand) -> None:
    assert "Give --git-uri" in run("submit", "--experiment-name", "iris", code=2).stderr
