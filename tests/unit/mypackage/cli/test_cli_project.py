"""What a checkout's MLproject file says of a job is told when it is submitted, and is what the worker would say."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mypackage.cli.project import faults, find_project
from shared.errors import UserError
from shared.jobs.records import JobFilter
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand, git, make_checkout
from tests.support.servers.served_app import served
from tests.unit.conftest import MakeApp
from worker.project.entry_points import assemble, render
from worker.project.loading import load_project

MLPROJECT = """\
name: iris
docker_env: {image: "iris:1"}
entry_points:
  main:
    parameters:
      model_name: {type: string, default: iris}
      experiment_name: string
      base_model: string
      alpha: {type: float, default: 0.5}
      epochs: {type: int, default: 3}
      fast: {type: bool, default: false}
      depth: {type: int, default: "None"}
      data: {type: path, default: data}
    command: "python train.py {alpha}"
  needy: {parameters: {rate: float, model_name: string}, command: "python train.py {rate}"}
  bare: {command: "python train.py"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_checkout(tmp_path / "checkout")
    (folder / "training/MLproject").write_text(MLPROJECT)
    git(folder, "commit", "-qam", "Second")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    monkeypatch.chdir(folder / "training")
    return folder


@pytest.fixture
def run(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[RetrainCommand]:
    with served(make_app, monkeypatch) as start:
        yield RetrainCommand(start().url)


def test_a_value_that_does_not_fit_and_one_that_is_missing_are_told_before_anything_is_sent(
    run: RetrainCommand, store: MemoryStore
) -> None:
    told = run("submit", "-P", "alpha=abc", "-P", "epochs=1.5", code=2).stderr
    assert "by the MLproject file in training" in told
    assert "parameter alpha is 'abc', which is not a number" in told
    assert "parameter epochs is '1.5', which is not a whole number" in told
    assert "parameter rate needs a value" in run("submit", "-e", "needy", code=2).stderr
    assert "no entry point 'mian' (it has: main, needy, bare)" in run("submit", "-e", "mian", code=2).stderr
    assert not store.list(JobFilter(), limit=1)
    assert run("submit", "--commit-hash", "v1", "--experiment-name", "iris", "-P", "alpha=abc")  # not the checkout's


def test_the_experiment_is_by_default_what_the_project_is_called_and_that_is_said(run: RetrainCommand) -> None:
    shown = run("submit", "--json")
    assert json.loads(shown.stdout)["request"]["experiment_name"] == "iris"
    assert shown.stderr == "Experiment: iris, after the MLproject file.\n"
    own = run("submit", "--json", "--experiment-name", "mine")
    assert (json.loads(own.stdout)["request"]["experiment_name"], own.stderr) == ("mine", "")


def test_an_experiment_that_nobody_named_is_asked_for_by_the_options_name(
    run: RetrainCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = run("submit", "--git-uri", "https://git.example/iris.git", code=2).stderr
    assert "Give --experiment-name" in told


@pytest.mark.parametrize(
    "text",
    [
        *("- a", "name: [", "entry_points: 3", "entry_points: {main: 3}", "entry_points: {main: {parameters: 3}}"),
        *("made: 2024-99-99", f"deep: {'[' * 2000}"),
    ],
)
def test_a_file_that_it_does_not_understand_is_left_to_the_worker(folder: Path, text: str) -> None:
    (folder / "training/MLproject").write_text(text)
    git(folder, "commit", "-qam", "Third")
    assert not faults(find_project(folder, "HEAD", "training/") or {}, {})
    assert find_project(folder, "HEAD", "nowhere") is None


@pytest.mark.parametrize("request_", [{"parameters": "alpha"}, {"parameters": ["alpha"]}, {"entry_point": ["main"]}])
def test_a_request_of_other_types_is_left_to_the_service(folder: Path, request_: dict[str, Any]) -> None:
    assert not faults(find_project(folder, "HEAD", "training") or {}, request_)


def test_a_parameter_whose_name_yaml_reads_as_a_number_is_called_as_the_worker_calls_it(folder: Path) -> None:
    (folder / "training/MLproject").write_text(MLPROJECT.replace("alpha:", "1:").replace("{alpha}", "{1}"))
    git(folder, "commit", "-qam", "Third")
    agree(folder, {"parameters": {"1": "0.5"}})
    agree(folder, {"parameters": {"1": "x"}})


def test_a_folder_may_have_any_name(folder: Path) -> None:
    (folder / "training").rename(folder / 'übung "1"')
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "Third")
    assert (find_project(folder, "HEAD", 'übung "1"') or {})["name"] == "iris"


@pytest.mark.parametrize("alpha", [0.5, 1, "1e-3", " 2 ", "abc", "", True, "nan"])
@pytest.mark.parametrize("epochs", [3, 3.0, 3.5, "3", "3.0", True, "x"])
def test_numbers_are_judged_as_the_worker_judges_them(folder: Path, alpha: Any, epochs: Any) -> None:
    agree(folder, {"parameters": {"alpha": alpha, "epochs": epochs}})


@pytest.mark.parametrize("fast", [True, 1, 0.0, 2, "yes", "No", "maybe", ""])
def test_bools_are_judged_as_the_worker_judges_them(folder: Path, fast: Any) -> None:
    agree(folder, {"parameters": {"fast": fast, "extra": "x"}})


@pytest.mark.parametrize(
    "request_",
    [{}, {"entry_point": "needy"}, {"entry_point": "needy", "parameters": {"rate": 1}}]
    + [{"entry_point": name, "model_name": "m", "parameters": {"rate": "1"}} for name in ("needy", "bare", "train.py")],
)
def test_what_is_missing_is_judged_as_the_worker_judges_it(folder: Path, request_: dict[str, Any]) -> None:
    agree(folder, request_)


@pytest.mark.parametrize("depth", ["None", None, "none", 3])
def test_a_value_that_is_the_default_fits_as_it_does_for_the_worker(folder: Path, depth: Any) -> None:
    agree(folder, {"parameters": {"depth": depth}} if depth is not None else {})


def agree(folder: Path, request: Mapping[str, Any]) -> None:
    """Both refuse, or neither does."""
    request = {"experiment_name": "iris", **request}
    fields = {name: request.get(name) for name in ("experiment_name", "model_name", "base_model", "dataset_repo")}
    try:
        entry_point = load_project(folder / "training").entry_point(request.get("entry_point", "main"))
        render(entry_point, assemble(entry_point, fields=fields, parameters=request.get("parameters", {})))
        is_refused = False
    except UserError:
        is_refused = True
    project = find_project(folder, "HEAD", "training")
    assert project is not None
    assert bool(faults(project, request)) == is_refused
