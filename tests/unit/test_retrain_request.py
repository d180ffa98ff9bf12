"""The body of POST /retrain: what is taken, what is refused and how, and credentials that never come out again."""

import json
import string
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.errors import FailureType
from shared.git_uri import Credentials
from shared.retrain_request import RetrainRequest, memory_bytes

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
GIT_URI = "https://git.example/team/iris.git"
REQUIRED = {"experiment_name": "iris", "git_uri": GIT_URI}
WITH_TOKEN = "https://hunter2@git.example/team/iris.git"


def _request(**fields: Any) -> RetrainRequest:
    return RetrainRequest.model_validate({**REQUIRED, **fields})


def _refusal(**fields: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _request(**fields)
    return caught.value


def test_the_predecessors_documented_body_is_taken_as_it_is() -> None:
    request = RetrainRequest.model_validate_json(PREDECESSORS_BODY)
    assert request.experiment_name == "name_of_experiment"
    assert request.git_uri == "https://git@github.com/user/repo_name.git"
    assert (request.MLproject_location, request.commit_hash) == ("path/to/MLproject/directoy", "main")
    assert (request.dataset_repo, request.base_model) == ("not_used", "None")


def test_the_predecessors_private_address_gives_its_token_as_credentials() -> None:
    body = {**json.loads(PREDECESSORS_BODY), "git_uri": "https://ghp_hunter2@github.com/user/repo_name.git"}
    clean, secrets = RetrainRequest.model_validate(body).without_credentials()
    assert clean.git_uri == "https://github.com/user/repo_name.git"
    assert secrets.source == Credentials("https://github.com/", "ghp_hunter2", "")


def test_two_fields_are_enough_and_the_rest_has_the_predecessors_defaults() -> None:
    request = _request()
    assert (request.MLproject_location, request.commit_hash, request.entry_point) == ("", "main", "main")
    assert (request.dataset_repo, request.base_model, request.model_name) == ("not_used", "None", None)
    assert (request.queue, request.priority, request.parameters, request.labels) == ("default", 4, {}, {})


@pytest.mark.parametrize("missing", ["experiment_name", "git_uri"])
def test_the_two_fields_are_required(missing: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RetrainRequest.model_validate({name: value for name, value in REQUIRED.items() if name != missing})
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [("missing", (missing,))]


def test_dataset_uri_is_another_name_of_dataset_repo() -> None:
    data = "https://git.example/data.git"
    assert _request(dataset_uri=data).dataset_repo == data
    assert _request(dataset_uri=data, dataset_repo=data).dataset_repo == data
    assert "dataset_uri and dataset_repo" in str(_refusal(dataset_uri=data, dataset_repo="https://other.example/d.git"))


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
    assert _request(dataset_repo=data).dataset_repo == (data or "not_used")


@pytest.mark.parametrize(
    "ref", ["main", "v1.2.3", "feature/new-loss", "a" * 40, "deadbee", "release-2.0+build#7", "user@host"]
)
def test_branches_tags_and_commits_are_refs(ref: str) -> None:
    assert _request(commit_hash=ref).commit_hash == ref


@pytest.mark.parametrize("value", [True, 3, 0.5, -1, "adam", "", "a b\u00e9", "a@b", *HARMLESS])
def test_parameters_keep_their_type(value: object) -> None:
    kept = _request(parameters={"x": value}).parameters["x"]
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
        ({"parameters": {f"p{n}": n for n in range(201)}}, ("parameters",)),
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
    [error] = _refusal(**fields).errors()
    assert error["loc"] == place


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, float("nan"), float("inf"), "a\x1bb", "x" * 6001])
def test_a_parameter_that_no_command_line_can_carry_is_refused(value: object) -> None:
    for error in _refusal(parameters={"x": value}).errors():
        assert error["loc"][:2] == ("parameters", "x")


@pytest.mark.parametrize("body", [[], "text", 7, None, {}])
def test_a_body_that_is_no_request_is_refused(body: object) -> None:
    with pytest.raises(ValidationError):
        RetrainRequest.model_validate(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"MLproject_location": WITH_TOKEN},
        {"base_model": WITH_TOKEN},
        {"entry_point": WITH_TOKEN},
        {"model_name": WITH_TOKEN},
        {"experiment_name": WITH_TOKEN},
        {"concurrency_key": WITH_TOKEN},
        {"parameters": {"repo": f"see {WITH_TOKEN}"}},
        {"parameters": {"repo": "s3://key:pass/hunter2@bucket"}},
        {"labels": {"repo": WITH_TOKEN}},
        {"dataset_repo": f"see {WITH_TOKEN}"},
        {"dataset_repo": "https://git.example/oauth2:hunter2@x/p"},
        {"dataset_repo": "https://git.example/oauth2:hunter2%40x/p"},
        {"dataset_repo": "https://git.example//hunter2@x/p"},
        {"dataset_repo": "https://hunter2/x@data.example/a.git"},
        {"dataset_repo": "https://me:12/hunter2@data.example/a.git"},
        {"dataset_repo": "https://git.example/a@hunter2@x"},
        {"dataset_repo": "https://git.example/a@v1:x?token=hunter2"},
        {"dataset_repo": "s3://key:hunter2@bucket/d"},
        {"dataset_repo": "https://a.example/d.zip?sv=1&sig=hunter2"},
        {"dataset_repo": "hunter2-hunter2-hunter2@git.example:d.git"},
        {"dataset_repo": "hunter2-hunter2-hunter2@git.example/d.git"},
        {"dataset_repo": "ssh://hunter2-hunter2-hunter2@git.example/d.git@v1"},
        {"dataset_repo": "me:hunter2@git.example/d.git"},
        {"dataset_repo": "me:hunter2%40git.example/d.git"},
        {"git_uri": "https://git.example/oauth2:hunter2%40x/p"},
        {"git_uri": "ssh://hunter2-hunter2-hunter2@git.example/p"},
        {"git_uri": "hunter2-hunter2-hunter2@git.example:p"},
        {"git_uri": "https://bot:hunter2@git.example/a.git?x"},
        {"git_uri": "ftp://bot:hunter2@git.example/a.git"},
        {"git_uri": "https://bot:pass/hunter2@git.example/a.git"},
        {"git_uri": "https://bot:hunter2@[git.example/a.git"},
        {"git_uri": WITH_TOKEN, "dataset_uri": "https://hunter2@a.example/d", "dataset_repo": "b"},
        {"git_uri": WITH_TOKEN, "priority": 99},
        {"dataset_repo": "https://bot:hunter2@data.example/a.git#x"},
        {"dataset_repo": "https://bot:pass/hunter2@data.example/a.git"},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_refusal_never_repeats_credentials(fields: dict[str, Any]) -> None:
    refusal = _refusal(**fields)
    told = refusal.errors(include_input=False, include_url=False)
    assert "hunter2" not in f"{refusal} {refusal!r} {told} {refusal.json(include_input=False)}"


@pytest.mark.parametrize(
    "text",
    [
        "//hunter2@host/a",
        "https:/hunter2@host/a",
        "https:hunter2@host/a",
        "https:%2F%2Fhunter2@host/a",
        "https%3a%2f%2fhunter2%40host/a",
        "https:\\\\hunter2@host\\a",
        "https:\\hunter2@host",
        "%5C%5Chunter2@host",
        "https://a%2Fb:hunter2@host/a",
        "https://a.blob.example/c/d.zip?sv=1&SIG=hunter2",
        "https://host/a?access_token=hunter2",
        "https://host/a?password=hunter2",
        "https://host/a?client_secret=hunter2",
        "https://host/a?x=1&api_key=hunter2",
        "https://host/a?X-Amz-Signature=hunter2",
        "https%3A%2F%2Fhost%2Fa%3Ftoken%3Dhunter2",
    ],
)
def test_a_url_with_a_credential_is_refused_in_every_text_however_it_is_written(text: str) -> None:
    for fields in (
        {"parameters": {"x": text}},
        {"labels": {"x": text}},
        {"base_model": text},
        {"model_name": text},
        {"experiment_name": text},
        {"MLproject_location": text},
    ):
        told = str(_refusal(**fields).errors(include_input=False, include_url=False))
        assert "hunter2" not in told
        assert "git_uri or dataset_repo" in told
    assert "hunter2" not in _outcome({"dataset_repo": text})[0]


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        ("https://t0ken@git.example/d.git@v1:data/train", "https://git.example/d.git@v1:data/train"),
        ("https://bot:t0ken@Git.example/d.git@feature/x", "https://git.example/d.git@feature/x"),
    ],
)
def test_a_token_is_taken_out_of_an_address_with_a_revision(data: str, stored: str) -> None:
    clean, secrets = _request(dataset_repo=data).without_credentials()
    assert clean.dataset_repo == stored
    assert secrets.dataset is not None
    assert "t0ken" in secrets.dataset.secrets
    assert RetrainRequest.model_validate(clean.model_dump(mode="json")) == clean


@pytest.mark.parametrize(
    "text", ["a", "a://", "a://a:", "x://a:1", "a:", "//", "aa:/", "//?a", "//a:", "?", "%2F%2Fa:"]
)
def test_a_long_value_is_looked_through_quickly(text: str) -> None:
    before = time.process_time()
    for _ in range(10):
        _request(parameters={"x": text * (6000 // len(text))})
    assert time.process_time() - before < 0.3


def test_credentials_of_source_and_data_are_split_off() -> None:
    request = _request(git_uri="https://bot:hunter2@git.example:8443/a.git", dataset_uri="https://t0ken@data.example/d")
    clean, secrets = request.without_credentials()
    assert (clean.git_uri, clean.dataset_repo) == ("https://git.example:8443/a.git", "https://data.example/d")
    assert secrets.source == Credentials("https://git.example:8443/", "bot", "hunter2")
    assert secrets.dataset == Credentials("https://data.example/", "t0ken", "")


def test_a_request_without_credentials_has_none() -> None:
    clean, secrets = _request(
        git_uri="https://git@git.example/a.git", dataset_uri="s3://bucket/d"
    ).without_credentials()
    assert not secrets
    assert clean.dataset_repo == "s3://bucket/d"


def test_what_is_stored_reads_back_as_the_same_request() -> None:
    clean, _ = _request(
        parameters={"alpha": 0.5, "deep": True, "n": 3, "name": "x"},
        retry={"on": ["timeout"], "max_attempts": 2},
        resources={"gpus": 1, "memory": "8g"},
        labels={"team": "vision"},
    ).without_credentials()
    stored = json.loads(json.dumps(clean.model_dump(mode="json")))
    assert RetrainRequest.model_validate(stored) == clean
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
    assert _request(**fields).effective_concurrency_key == key


@pytest.mark.parametrize(
    ("size", "count"),
    [("6291456", 6 * 2**20), ("512m", 2**29), ("8g", 2**33), ("8GiB", 2**33), ("1.5 G", 3 * 2**29), ("1tb", 2**40)],
)
def test_sizes_are_read_in_powers_of_1024(size: str, count: int) -> None:
    assert memory_bytes(size) == count
    assert _request(resources={"memory": size}).resources.memory == size


PRINTABLE = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:/@?#%[] "


@given(user=st.text(PRINTABLE, max_size=12), password=st.text(PRINTABLE, min_size=1, max_size=20), whole=st.booleans())
def test_no_credentials_are_left_in_what_is_stored_or_told(user: str, password: str, whole: bool) -> None:
    secret = f"hunter2{password}"
    written = f"{user}:{secret}" if whole else f"{quote(user, safe='')}:{quote(secret, safe='')}"
    uri = f"https://{written}@git.example/iris.git"
    for field in ("git_uri", "dataset_repo"):
        stored_or_told, held = _outcome({field: uri})
        assert "hunter2" not in stored_or_told
        assert held is None or "hunter2" in held


def _outcome(fields: dict[str, str]) -> tuple[str, str | None]:
    """What is stored or told of the request, and the credentials that were taken out, if it was not refused."""
    try:
        clean, secrets = _request(**fields).without_credentials()
    except ValidationError as refusal:
        return f"{refusal} {refusal.errors(include_input=False)}", None
    return clean.model_dump_json(), " ".join(secret for held in secrets.all for secret in held.secrets)


@given(user=st.text(PRINTABLE.replace(":", ""), min_size=1, max_size=12), password=st.text(PRINTABLE, max_size=20))
def test_percent_encoded_credentials_come_out_as_they_went_in(user: str, password: str) -> None:
    uri = f"https://{quote(user, safe='')}:{quote('p' + password, safe='')}@git.example/iris.git"
    _, secrets = _request(git_uri=uri).without_credentials()
    assert secrets.source == Credentials("https://git.example/", user, "p" + password)
