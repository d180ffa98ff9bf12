"""Credentials in the body of POST /retrain: they are taken out, and never come out again."""

import json
import string
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.addresses.git_uri import Credentials
from shared.requests.retrain_request import RetrainRequest
from tests.support.retrain_requests import WITH_TOKEN, parse, refused

ADDRESSES = {"git_uri", "dataset_repo"}  # which credentials may stand in: they are split off
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


def test_the_predecessors_private_address_gives_its_token_as_credentials() -> None:
    body = {**json.loads(PREDECESSORS_BODY), "git_uri": "https://ghp_hunter2@github.com/user/repo_name.git"}
    clean, secrets = RetrainRequest.model_validate(body).without_credentials()
    assert clean.git_uri == "https://github.com/user/repo_name.git"
    assert secrets.source == Credentials("https://github.com/", "ghp_hunter2", "")


@pytest.mark.parametrize(
    "fields",
    [
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
    refusal = refused(**fields)
    told = refusal.errors(include_input=False, include_url=False)
    assert "hunter2" not in f"{refusal} {refusal!r} {told} {refusal.json(include_input=False)}"


@pytest.mark.parametrize("name", sorted(set(RetrainRequest.model_fields) - ADDRESSES))
def test_no_field_but_an_address_takes_credentials_or_control_characters(name: str) -> None:
    for text in (WITH_TOKEN, "a\nb", "lone \ud800"):
        told = str(refused(**{name: text}).errors(include_input=False, include_url=False))
        assert name in told
        assert "hunter2" not in told


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
        "models:/hunter2@host/a",
        "models:/hunter2@x@host",
        "https:/models:/hunter2@host",
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
        told = str(refused(**fields).errors(include_input=False, include_url=False))
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
    clean, secrets = parse(dataset_repo=data).without_credentials()
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
        parse(parameters={"x": text * (6000 // len(text))})
    assert time.process_time() - before < 0.3


def test_credentials_of_source_and_data_are_split_off() -> None:
    request = parse(git_uri="https://bot:hunter2@git.example:8443/a.git", dataset_uri="https://t0ken@data.example/d")
    clean, secrets = request.without_credentials()
    assert (clean.git_uri, clean.dataset_repo) == ("https://git.example:8443/a.git", "https://data.example/d")
    assert secrets.source == Credentials("https://git.example:8443/", "bot", "hunter2")
    assert secrets.dataset == Credentials("https://data.example/", "t0ken", "")


def test_a_request_without_credentials_has_none() -> None:
    clean, secrets = parse(git_uri="https://git@git.example/a.git", dataset_uri="s3://bucket/d").without_credentials()
    assert not secrets
    assert clean.dataset_repo == "s3://bucket/d"


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
        clean, secrets = parse(**fields).without_credentials()
    except ValidationError as refusal:
        return f"{refusal} {refusal.errors(include_input=False)}", None
    return clean.model_dump_json(), " ".join(secret for held in secrets.all for secret in held.secrets)


@given(user=st.text(PRINTABLE.replace(":", ""), min_size=1, max_size=12), password=st.text(PRINTABLE, max_size=20))
def test_percent_encoded_credentials_come_out_as_they_went_in(user: str, password: str) -> None:
    uri = f"https://{quote(user, safe='')}:{quote('p' + password, safe='')}@git.example/iris.git"
    _, secrets = parse(git_uri=uri).without_credentials()
    assert secrets.source == Credentials("https://git.example/", user, "p" + password)
