"""Whose a thing is, what is written once, and the list of what was refused; on a twin of MLflow in memory."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.mlflow_guard import trainings
from deploy.mlflow_guard.bodies import Unfit
from deploy.mlflow_guard.layer import Guard, Message, Receive, Refused, Scope, Send
from deploy.mlflow_guard.owners import Answer, Owners
from deploy.mlflow_guard.refusals import MOST_DIFFERENT, TAG_CHARACTERS, Refusals
from deploy.mlflow_guard.routes import decide_for_training
from deploy.mlflow_guard.trainings import Trainings
from deploy.mlflow_guard.write_once import KNOWN_SECONDS, UploadsUnderWay, WriteOnce
from deploy.mlflow_guard.writes import Kind, Thing
from mypackage.protocol import JOB_TAG, REFUSED_TAG
from shared.secrets.attempt_tokens import Grant, issue

GRANT = Grant("ours", 1, "2f", "1", None, 1000)
TOKEN = ("Authorization", f"Bearer {issue(GRANT, 'key')}")
DELETE = "/api/2.0/mlflow/runs/delete"
FILE, MODEL_FILE = "1/2f/artifacts/model/x", "1/models/m-1/artifacts/x"


@dataclass
class Mlflow:
    """Answers what the guard asks."""

    runs: dict[str, str] = field(default_factory=lambda: {"2f": "ours", "9a": "theirs"})  # their jobs
    versions: list[dict[str, str]] = field(default_factory=list)
    model_tags: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    written_at_answer: list[str] = field(default_factory=list)
    is_away: bool = False
    hangs: bool = False

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        self.asked.append(path.rpartition("mlflow/")[2])
        await asyncio.sleep(60 if self.hangs else 0)
        if self.is_away:
            raise Refused("away")
        if body is not None:
            self.written.append(str(body["value"]))
            return Answer(200, {})
        return self._found(path, dict(query or {}))

    def _found(self, path: str, query: dict[str, str]) -> Answer:
        if path.endswith("model-versions/search"):
            return Answer(200, {"model_versions": self.versions})
        if path.endswith("logged-models/m-1"):
            tags = [{"key": name, "value": value} for name, value in self.model_tags.items()]
            info = {
                "model_id": "m-1",
                "source_run_id": "2f",
                "artifact_uri": "mlflow-artifacts:/1/models/m-1/artifacts",
            }
            return Answer(200, {"model": {"info": {**info, "tags": tags}}})
        if path.endswith("runs/get") and (run_id := query["run_id"].lower()) in self.runs:  # as some databases compare
            info = {"run_id": run_id, "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts"}
            tags = [{"key": JOB_TAG, "value": self.runs[run_id]}]
            tags += [{"key": REFUSED_TAG, "value": self.written[-1]}] if self.written else []
            return Answer(200, {"run": {"info": info, "data": {"tags": tags}}})
        return Answer(404, None)


def test_a_run_is_own_by_its_job_and_in_the_spelling_that_mlflow_has_for_it() -> None:
    mlflow = Mlflow(runs={"2f": "ours", "3b": "ours", "9a": "theirs"})
    owners = Owners(mlflow)

    async def look() -> list[bool]:
        return [await owners.owns(GRANT, Thing(Kind.RUN, each)) for each in ("2f", "3b", "3b", "9a", "3B", "none")]

    assert asyncio.run(look()) == [True, True, True, False, False, False]
    assert len(mlflow.asked) == 4  # what is own is remembered, and its own run is known


@pytest.mark.parametrize(
    ("path", "is_own"),
    [
        (FILE, True),
        (MODEL_FILE, True),
        ("1/9a/artifacts/x", False),
        ("1/9a/artifacts/2f/artifacts/x", False),
        ("1/9a/2f/artifacts/x", False),
        ("2/2f/artifacts/x", False),
        ("artifacts/x", False),
        ("1/2f/x", False),
    ],
)
def test_a_file_is_own_where_an_own_thing_has_its_artifacts(path: str, is_own: bool) -> None:
    assert asyncio.run(Owners(Mlflow()).owns(GRANT, Thing(Kind.FILE, path))) is is_own


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("runs:/2f/model", "1/2f/artifacts/model"),
        ("models:/m-1", "1/models/m-1/artifacts"),
        ("mlflow-artifacts:/1/2f/artifacts/model", "1/2f/artifacts/model"),
        ("runs:/9a/model", None),
        ("runs://other/2f/model", None),
        ("runs:/m-1/model", None),
        ("models:/iris@champion", None),
        ("models:/iris/1", None),
        ("s3://bucket/2f/artifacts/model", None),
    ],
)
def test_a_version_s_source_lies_in_what_is_own(source: str, path: str | None) -> None:
    assert asyncio.run(Owners(Mlflow()).path_of_source(GRANT, source)) == path


async def _writable(once: WriteOnce, file: str) -> bool:
    with once.upload(file):
        try:
            await once.check(GRANT, file)
        except Unfit:
            return False
    return True


def test_what_a_version_refers_to_is_written_once_and_the_rest_as_often_as_it_takes() -> None:
    mlflow, now = Mlflow(), [0.0]
    once = WriteOnce(Owners(mlflow), clock=lambda: now[0])
    assert asyncio.run(_writable(once, FILE))
    mlflow.versions.append({"source": "runs:/2f/model"})
    now[0] = KNOWN_SECONDS
    assert not asyncio.run(_writable(once, FILE))
    assert not asyncio.run(_writable(once, "1/2f/artifacts/model/more"))
    assert asyncio.run(_writable(once, "1/2f/artifacts/models/x"))


def test_a_logged_model_with_a_version_is_frozen_whatever_its_tag_says() -> None:
    assert asyncio.run(_writable(WriteOnce(Owners(Mlflow())), MODEL_FILE))
    assert not asyncio.run(_writable(WriteOnce(Owners(Mlflow(model_tags={"mlflow.modelVersions": ""}))), MODEL_FILE))


def test_a_registration_counts_at_once_and_waits_for_what_is_being_uploaded() -> None:
    mlflow = Mlflow()
    once = WriteOnce(Owners(mlflow))
    place = "1/2f/artifacts/model"

    async def story() -> list[bool]:
        seen = [await _writable(once, FILE)]
        with once.upload(FILE), pytest.raises(UploadsUnderWay), once.registration(place):
            pass
        with once.registration(place):
            seen.append(await _writable(once, FILE))
            mlflow.versions.append({"source": "runs:/2f/model"})
        return [*seen, await _writable(once, FILE)]

    assert asyncio.run(story()) == [True, False, False]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Authorization", "Bearer {token}")], 200),
        ([("authorization", "bearer {token}")], 200),
        ([("Authorization", "Bearer {token}"), ("Authorization", "Bearer x")], 401),
        ([("Authorization", "Basic {token}")], 401),
        ([("Authorization", "Bearer ")], 401),
        ([], 401),
    ],
)
def test_a_request_shows_one_token(headers: list[tuple[str, str]], status: int) -> None:
    said = {"run_id": "2f", "key": "a", "value": 1, "timestamp": 1}
    sent = [(name, value.format(token=issue(GRANT, "key"))) for name, value in headers]
    assert _sent(Mlflow(), "/api/2.0/mlflow/runs/log-metric", json.dumps(said).encode(), sent)[0] == status


def test_the_changed_body_is_announced_with_its_own_length() -> None:
    status, passed, scope = _sent(Mlflow(), "/api/2.0/mlflow/runs/create", b"{}", [TOKEN, ("Content-Length", "2")])
    assert (status, json.loads(passed)["tags"][0]) == (200, {"key": JOB_TAG, "value": "ours"})
    assert dict(scope["headers"])[b"content-length"] == str(len(passed)).encode()


def test_spans_of_two_types_are_refused_because_mlflow_may_read_the_other_one() -> None:
    kinds = ["application/x-protobuf", "application/json"]
    assert _sent(Mlflow(), "/v1/traces", b"", [TOKEN, ("Content-Type", kinds[0])])[0] == 200
    assert _sent(mlflow := Mlflow(), "/v1/traces", b"", [TOKEN, *(("Content-Type", each) for each in kinds)])[0] == 403
    assert json.loads(mlflow.written[-1]) == [{"call": "POST /v1/traces", "object": "", "count": 1}]


def test_a_refusal_is_listed_before_it_is_answered_because_the_training_may_end_then() -> None:
    mlflow = Mlflow()
    assert _sent(mlflow, DELETE, b'{"run_id": "9a"}', [TOKEN, ("Content-Length", "16")])[0] == 403
    listed = [{"call": "POST runs/delete", "object": "9a", "count": 1}]
    assert [json.loads(each) for each in mlflow.written_at_answer] == [listed]


def test_a_refusal_is_answered_while_mlflow_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainings, "NOTE_SECONDS", 0.01)
    assert _sent(Mlflow(hangs=True), DELETE, b'{"run_id": "9a"}', [TOKEN])[0] == 403


def _sent(mlflow: Mlflow, path: str, body: bytes, headers: list[tuple[str, str]]) -> tuple[int, bytes, Scope]:
    """The answer's status, and what reached MLflow."""
    passed: list[tuple[bytes, Scope]] = []
    answers: list[Message] = []

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(((await receive())["body"], scope))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answers.append(message)
        mlflow.written_at_answer = mlflow.written_at_answer or list(mlflow.written)

    async def story() -> None:
        policy = Trainings(mlflow, lambda: "key", clock=lambda: 0.0)
        raw = [(name.encode(), value.encode()) for name, value in headers]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        await Guard(behind, decide=decide_for_training, policy=policy)({**scope, "headers": raw}, receive, send)

    asyncio.run(story())
    return answers[0]["status"], *(passed[0] if passed else (b"", {}))


def _noted(mlflow: Mlflow, note: Callable[[Refusals], Awaitable[None]]) -> list[dict[str, Any]]:
    async def story() -> None:
        await note(Refusals(mlflow))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(story())
    return list(json.loads(mlflow.written[-1]))


def test_equal_refusals_are_counted_and_different_ones_listed_up_to_a_bound() -> None:
    async def note(refusals: Refusals) -> None:
        for number in range(MOST_DIFFERENT + 5):
            refusals.note(GRANT, "POST x", f"thing {number}")
            refusals.note(GRANT, "POST x", "thing 0")

    listed = _noted(mlflow := Mlflow(), note)
    assert len(listed) == MOST_DIFFERENT
    assert listed[0] == {"call": "POST x", "object": "thing 0", "count": MOST_DIFFERENT + 6}
    assert len(mlflow.written) < 5  # many at once are one write


def test_the_list_of_a_guard_before_this_one_is_gone_on_with() -> None:
    async def note(refusals: Refusals) -> None:
        refusals.note(GRANT, "POST x", "a")

    mlflow = Mlflow()
    _noted(mlflow, note)
    assert _noted(mlflow, note) == [{"call": "POST x", "object": "a", "count": 2}]


def test_long_texts_are_cut_so_that_the_tag_holds_the_list() -> None:
    async def note(refusals: Refusals) -> None:
        for number in range(MOST_DIFFERENT):
            refusals.note(GRANT, '"' * 500, f"{number}" + '\\"\n' * 500)

    _noted(mlflow := Mlflow(), note)
    assert 0 < len(mlflow.written[-1]) <= TAG_CHARACTERS


def test_what_could_not_be_written_is_written_with_the_next() -> None:
    async def note(refusals: Refusals) -> None:
        mlflow.is_away = True
        await refusals.note(GRANT, "POST x", "a")
        mlflow.is_away = False
        refusals.note(GRANT, "POST x", "b")

    mlflow = Mlflow()
    assert [each["object"] for each in _noted(mlflow, note)] == ["a", "b"]
