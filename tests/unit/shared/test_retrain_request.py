"""The body of POST /retrain: what is taken, and what is refused and how."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shared.errors import FailureType
from shared.requests.parts import Retry, memory_bytes
from shared.requests.retrain_request import RetrainRequest
from tests.support.retrain_requests import GIT_URI, REQUIRED, WITH_TOKEN, parse, refused

HARMLESS = (
    "http://host:8080/data@v1",
    "C:/data@v1",
    "see https://host/a, or ask me@host",
    "a%40b",
    "https://host/a?alpha=1&design=no-sig=1",
    "token=word",
)
PREDECESSORS_BODY = """
{
  "experiment_name": "name_of_experiment",
  "git_uri": "https://git@github.com/user/repo_name.git",
  "MLproject_location": "path/to/MLproject/directoy",
  "commit_hash": "main",
  "dataset_uri": "",
  "base_model" : ""
}
"""


def test_the_predecessors_documented_body_is_taken_as_it_is() -> None:
    request = RetrainRequest.model_validate_json(PREDECESSORS_BODY)
    assert request.experiment_name == "name_of_experiment"
    assert request.git_uri == "https://git@github.com/user/repo_name.git"
    assert (request.MLproject_location, request.commit_hash) == ("path/to/MLproject/directoy", "main")
    assert (request.dataset_repo, request.base_model) == (None, None)  # empty is what was not sent


def test_two_fields_are_enough_and_what_was_not_sent_is_told_from_what_was() -> None:
    request = parse()
    assert (request.MLproject_location, request.commit_hash, request.entry_point) == ("", "main", "main")
    assert (request.dataset_repo, request.base_model, request.model_name) == (None, None, None)
    sent = parse(dataset_repo="not_used", base_model="None")
    assert (sent.dataset_repo, sent.base_model) == ("not_used", "None")
    assert parse(dataset_repo=None, base_model=None) == request
    assert (request.queue, request.priority, request.parameters, request.labels) == ("default", 4, {}, {})


@pytest.mark.parametrize("base_model", ["0" * 32, "models:/iris/3", "models:/iris@champion", "models:/two words@v-1"])
def test_a_base_model_is_a_run_a_version_or_an_alias_which_is_no_password(base_model: str) -> None:
    assert parse(base_model=base_model).base_model == base_model


@pytest.mark.parametrize("missing", ["experiment_name", "git_uri"])
def test_the_two_fields_are_required(missing: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainRequest.model_validate({name: value for name, value in REQUIRED.items() if name != missing})
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [("missing", (missing,))]


def test_dataset_uri_is_another_name_of_dataset_repo() -> None:
    data = "https://git.example/data.git"
    assert parse(dataset_uri=data).dataset_repo == data
    assert parse(dataset_uri=data, dataset_repo=data).dataset_repo == data
    assert "dataset_uri and dataset_repo" in str(refused(dataset_uri=data, dataset_repo="https://other.example/d.git"))


def test_the_body_that_was_given_is_not_changed() -> None:
    body = {**REQUIRED, "dataset_uri": "https://git.example/data.git"}
    before = dict(body)
    RetrainRequest.model_validate(body)
    assert body == before


@pytest.mark.parametrize(
    "data",
    [
        "not_used",
        "",
        "dvc_repo",
        "s3://bucket/data@v1",
        "/mnt/data",
        "a@b",
        "git@git.example:d.git",
        "git@git.example:d.git@v1:data/train",
        "ssh://git@git.example/d.git@v1",
        "https://files.example/data.zip?version=2",
        GIT_URI,
        f"{GIT_URI}@v1.2",
        f"{GIT_URI}@feature/new:data/train",
        "https://git.example:8443/d.git@deadbee",
    ],
)
def test_a_dataset_may_be_any_address_or_none(data: str) -> None:
    assert parse(dataset_repo=data).dataset_repo == (data or None)


@pytest.mark.parametrize(
    "ref",
    ["main", "v1.2.3", "feature/new-loss", "a" * 40, "deadbee", "release-2.0+build#7", "user@host", "refs/tags/v1"],
)
def test_branches_tags_and_commits_are_refs(ref: str) -> None:
    assert parse(commit_hash=ref).commit_hash == ref


@pytest.mark.parametrize(
    "ref", ["feature/größe", "fix(ui)", "a,b", "it's", "机能", "a{b}", "50%", 'say"x"', "a;b|c&d<e>$f!`g`", "+x"]
)
def test_a_branch_may_have_any_letter_and_sign_that_git_takes(ref: str) -> None:
    assert parse(commit_hash=ref).commit_hash == ref


@pytest.mark.parametrize("value", [True, 3, 0.5, -1, "adam", "", "a b\u00e9", "a@b", *HARMLESS])
def test_parameters_keep_their_type(value: object) -> None:
    kept = parse(parameters={"x": value}).parameters["x"]
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"experiment": "typo"}, ("experiment",)),
        ({"experiment_name": ""}, ("experiment_name",)),
        ({"experiment_name": "a\nb"}, ("experiment_name",)),
        ({"experiment_name": "x" * 251}, ("experiment_name",)),
        ({"experiment_name": 7}, ("experiment_name",)),
        ({"experiment_name": None}, ("experiment_name",)),
        ({"experiment_name": "lone \ud800"}, ("experiment_name",)),
        ({"git_uri": ""}, ("git_uri",)),
        ({"git_uri": "--upload-pack=touch"}, ("git_uri",)),
        ({"git_uri": "ftp://host/repo.git"}, ("git_uri",)),
        ({"git_uri": "ext::sh -c date"}, ("git_uri",)),
        ({"git_uri": "https://host/lone-\ud800.git"}, ("git_uri",)),
        ({"git_uri": "https://host/" + "x" * 2048}, ("git_uri",)),
        ({"MLproject_location": "/etc"}, ("MLproject_location",)),
        ({"MLproject_location": "a/../../b"}, ("MLproject_location",)),
        ({"MLproject_location": "..\\b"}, ("MLproject_location",)),
        ({"MLproject_location": "a\x00b"}, ("MLproject_location",)),
        ({"commit_hash": ""}, ("commit_hash",)),
        ({"commit_hash": "--force"}, ("commit_hash",)),
        ({"commit_hash": "a..b"}, ("commit_hash",)),
        ({"commit_hash": "HEAD@{1}"}, ("commit_hash",)),
        ({"commit_hash": "main\n"}, ("commit_hash",)),
        ({"commit_hash": "main:other"}, ("commit_hash",)),
        ({"commit_hash": "a b"}, ("commit_hash",)),
        ({"dataset_repo": "a\nb"}, ("dataset_repo",)),
        ({"base_model": "x" * 501}, ("base_model",)),
        ({"entry_point": ""}, ("entry_point",)),
        ({"model_name": ""}, ("model_name",)),
        ({"parameters": {"": 1}}, ("parameters", "", "[key]")),
        ({"parameters": {"--x": 1}}, ("parameters", "--x", "[key]")),
        ({"parameters": {"x\n": 1}}, ("parameters", "x\n", "[key]")),
        ({"parameters": {"model_name": "m"}}, ("parameters",)),
        ({"parameters": {f"p{n}": n for n in range(1001)}}, ("parameters",)),
        ({"parameters": [1]}, ("parameters",)),
        ({"queue": "has space"}, ("queue",)),
        ({"queue": "default\n"}, ("queue",)),
        ({"queue": "x" * 64}, ("queue",)),
        ({"priority": 10}, ("priority",)),
        ({"priority": -1}, ("priority",)),
        ({"priority": "4"}, ("priority",)),
        ({"priority": True}, ("priority",)),
        ({"concurrency_key": ""}, ("concurrency_key",)),
        ({"resources": {"gpus": -1}}, ("resources", "gpus")),
        ({"resources": {"gpu": 1}}, ("resources", "gpu")),
        ({"resources": {"cpus": 0}}, ("resources", "cpus")),
        ({"resources": {"host": "a host"}}, ("resources", "host")),
        ({"resources": {"host": ""}}, ("resources", "host")),
        ({"resources": {"host_labels": ["a,b"]}}, ("resources", "host_labels", 0)),
        ({"resources": {"host_labels": [f"l{n}" for n in range(21)]}}, ("resources", "host_labels")),
        ({"resources": {"cpus": 1e-12}}, ("resources", "cpus")),
        ({"resources": {"cpus": True}}, ("resources", "cpus")),
        ({"resources": {"memory": "9" * 400}}, ("resources", "memory")),
        ({"resources": {"memory": "1025t"}}, ("resources", "memory")),
        ({"resources": {"memory": "9" * 16 + "t"}}, ("resources", "memory")),
        ({"resources": {"memory": "1." + "0" * 400}}, ("resources", "memory")),
        ({"timeouts": {"run_seconds": True}}, ("timeouts", "run_seconds")),
        ({"timeouts": {"git_seconds": True}}, ("timeouts", "git_seconds")),
        ({"retry": {"initial_delay_seconds": False}}, ("retry", "initial_delay_seconds")),
        ({"retry": {"max_delay_seconds": True}}, ("retry", "max_delay_seconds")),
        ({"resources": {"cpus": float("nan")}}, ("resources", "cpus")),
        ({"resources": {"memory": "5m"}}, ("resources", "memory")),
        ({"resources": {"memory": "lots"}}, ("resources", "memory")),
        ({"timeouts": {"run_seconds": 0}}, ("timeouts", "run_seconds")),
        ({"timeouts": {"run_seconds": float("inf")}}, ("timeouts", "run_seconds")),
        ({"timeouts": {"queue_seconds": 10**9}}, ("timeouts", "queue_seconds")),
        ({"retry": {"max_attempts": 0}}, ("retry", "max_attempts")),
        ({"retry": {"on": ["weather"]}}, ("retry", "on", 0)),
        ({"labels": {"team": 1}}, ("labels", "team")),
        ({"labels": {"a b": "x"}}, ("labels", "a b", "[key]")),
        ({"labels": {"team": "x" * 251}}, ("labels", "team")),
        ({"labels": {f"l{n}": "x" for n in range(51)}}, ("labels",)),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_what_is_wrong_is_refused_at_its_place(fields: dict[str, Any], place: tuple[object, ...]) -> None:
    [error] = refused(**fields).errors()
    assert error["loc"] == place


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, float("nan"), float("inf"), "a\x1bb", "x" * 6001])
def test_a_parameter_that_no_command_line_can_carry_is_refused(value: object) -> None:
    for error in refused(parameters={"x": value}).errors():
        assert error["loc"][:2] == ("parameters", "x")


@pytest.mark.parametrize("body", [[], "text", 7, None, {}])
def test_a_body_that_is_no_request_is_refused(body: object) -> None:
    with pytest.raises(ValidationError):
        RetrainRequest.model_validate(body)


def test_what_is_stored_reads_back_as_the_same_request() -> None:
    clean, _ = parse(
        parameters={"alpha": 0.5, "deep": True, "n": 3, "name": "x"},
        retry={"on": ["timeout"], "max_attempts": 2},
        resources={"gpus": 1, "memory": "8g", "host": "gpu-1", "host_labels": ["z", "a100", "z"]},
        labels={"team": "vision"},
    ).without_credentials()
    stored = json.loads(json.dumps(clean.model_dump(mode="json")))
    assert RetrainRequest.model_validate(stored) == clean
    assert stored["resources"]["host_labels"] == ["a100", "z"]
    assert clean.retry.on == frozenset({FailureType.TIMEOUT})


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"concurrency_key": "mine", "model_name": "m"}, "mine"),
        ({"model_name": "m"}, "model:m"),
        ({}, "experiment:iris"),
    ],
)
def test_jobs_of_one_model_share_a_key_unless_told_otherwise(fields: dict[str, str], key: str) -> None:
    assert parse(**fields).effective_concurrency_key == key


@pytest.mark.parametrize(
    ("size", "count"),
    [("6291456", 6 * 2**20), ("512m", 2**29), ("8g", 2**33), ("8GiB", 2**33), ("1.5 G", 3 * 2**29), ("1tb", 2**40)],
)
def test_sizes_are_read_in_powers_of_1024(size: str, count: int) -> None:
    assert memory_bytes(size) == count
    assert parse(resources={"memory": size}).resources.memory == size


def test_a_record_is_read_as_it_was_accepted() -> None:
    whole = parse(
        resources={"gpus": 1, "host_labels": ["b", "a"]},
        retry={"on": ["timeout", "infrastructure"]},
        alerts={"to": ["team-a"], "events": ["failed"]},
        promotion={"guardrails": {"recall": 0.1}},
        parameters={"epochs": 3, "rate": 0.1, "deep": True},
        timeouts={"run_seconds": 60.0},
    )
    read = RetrainRequest.from_record(json.loads(json.dumps(whole.model_dump(mode="json"))))
    assert read == whole
    assert read.promotion.as_variable == whole.promotion.as_variable


def test_rules_of_the_door_are_not_asked_of_a_record() -> None:
    record = {**REQUIRED, "base_model": WITH_TOKEN, "priority": 99, "colour": "red", "retry": {"colour": 1}}
    read = RetrainRequest.from_record(record)
    assert (read.base_model, read.priority, read.entry_point, read.retry) == (WITH_TOKEN, 99, "main", Retry())
