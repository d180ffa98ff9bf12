"""The log of a job on pages: its text without a script, and what the viewer asks for."""

import re
from collections.abc import Iterator
from typing import cast

import pytest
from flask.testing import FlaskClient

from api.access.signed_in import COOKIE
from api.ui.log_lines import MOST_LOOKED_AT, last_error, lines_with, shown, shown_lines
from shared.access.tokens import hash_of
from shared.jobs.model import JobState
from shared.jobs.records import Claim, Ending
from tests.fakes.store import MemoryStore
from tests.support.event_stream import lines_of, read_events
from tests.support.jobs import DOCKER_AWAY
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

TOKEN = "a-word-of-the-operators-own"
ENDED = Ending(JobState.SUCCEEDED)


@pytest.fixture
def claim(submit: Submit, claim_job: ClaimJob) -> Claim:
    return claim_job(submit()["id"])


def append(store: MemoryStore, claim: Claim, data: bytes) -> None:
    store.append_log(claim, data, source_offset=0)


def address(claim: Claim, what: str = "") -> str:
    return f"/ui/jobs/{claim.job.id}/log{what}"


def test_a_line_is_shown_as_a_terminal_shows_it_last() -> None:
    assert shown(b"\x1b[31mred\x1b[0m \x1b]0;title\x07and\x1b[2K plain") == "red and plain"
    assert shown(b" 10%\r 20%\r100%\r") == "100%"
    assert shown("a\u202eb\u0000c \u05d0 \U0001f600".encode()) == "abc \u05d0 \U0001f600"
    assert shown(b"\xff\xfe") == "\ufffd\ufffd"
    assert shown_lines(b"x" * 3_000_000 + b"\nend\n", longest=10) == f"{'x' * 10} …\nend\n"


def test_lines_are_found_as_they_are_shown_whatever_their_capitals() -> None:
    data = "one Loss\ntwo\n\x1b[1mLO\x1b[0mSS\n10%\rdone\nÄÖ loss".encode()
    assert [data[each - 7 :][:3] for each in lines_with(data, "loss", begins_at=7)] == [
        b"one",
        b"\x1b[1",
        "ÄÖ".encode()[:3],
    ]
    assert list(lines_with(data, "10%", begins_at=0)) == []
    assert len(list(lines_with(data, "äö", begins_at=0))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "\x1b[31mValueError: no\x1b[0m",
        "2026-01-01 ERROR it failed",
        "fatal: repository not found",
        "mlflow.exceptions.ExecutionException: x",
    ],
)
def test_the_last_line_that_looks_like_an_error_is_found(line: str) -> None:
    data = f"Error: an older one\n{line}\nand so on, 0 errors\n".encode()
    assert last_error(data, begins_at=100) == 100 + len("Error: an older one\n")
    assert last_error(b"all is well\nloss 0.3\n", begins_at=0) is None


def test_a_log_of_countless_empty_lines_is_not_read_to_its_beginning() -> None:
    most = MOST_LOOKED_AT - 2
    assert last_error(b"Error: an older one\n" + b"\n" * most, begins_at=0) == 0
    assert last_error(b"Error: an older one\n" + b"\n" * (most + 1), begins_at=0) is None


def test_without_a_script_the_end_of_the_log_is_read_on_the_page_as_text(
    client: FlaskClient, store: MemoryStore, claim: Claim
) -> None:
    append(store, claim, b"first\n" + b"filler\n" * 5000 + b"<script>alert(1)</script>\n\x1b[31mred\n")
    page = client.get(address(claim)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nred\n</pre>" in page
    assert "first" not in page
    assert "without a script this shows the last 16,3" in page
    assert len(page) < 30_000


def test_a_job_without_an_attempt_has_an_empty_log(client: FlaskClient, submit: Submit) -> None:
    assert "Nothing is printed yet." in client.get(f"/ui/jobs/{submit()['id']}/log").text


def test_each_attempt_s_log_has_an_address(
    client: FlaskClient, store: MemoryStore, claim: Claim, claim_job: ClaimJob
) -> None:
    append(store, claim, b"of the first\n")
    store.finish(claim, Ending(JobState.FAILED, reason=DOCKER_AWAY, retry_in_seconds=0))
    store.wake_retries()
    append(store, claim_job(claim.job.id), b"of the second\n")
    page, first = client.get(address(claim)).text, client.get(address(claim, "?attempt=1")).text
    assert ("of the second" in page, "of the first" in page) == (True, False)
    assert "of the first" in first
    assert re.search(r'href="[^"]*\?attempt=1#log" aria-current="true">Attempt 1', first)
    assert client.get(address(claim, "?attempt=3")).status_code == 404


def test_a_download_is_the_whole_log_byte_for_byte(client: FlaskClient, store: MemoryStore, claim: Claim) -> None:
    data = "ä\r\n\x1b[31m\u202e😀".encode() * 200_000 + bytes(range(256))
    for begin in range(0, len(data), 900_001):
        append(store, claim, data[begin : begin + 900_001])
    store.finish(claim, ENDED)
    answer = client.get(address(claim, "/download"))
    assert answer.get_data() == data
    assert answer.mimetype == "text/plain"
    name = f"job-{claim.job.id[:8]}-attempt-1.log"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_a_part_says_where_it_is(client: FlaskClient, store: MemoryStore, claim: Claim) -> None:
    append(store, claim, b"0123456789" * 10)
    answer = client.get(address(claim, "/part?offset=90&limit=16"))
    assert (answer.get_data(), answer.headers["X-Log-Size"]) == (b"0123456789", "100")
    assert client.get(address(claim, "/part?offset=x")).status_code == 422


def test_a_search_goes_on_where_it_ended(
    client: FlaskClient, store: MemoryStore, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ui.pages.log.SEARCHED_AT_ONCE", 64)
    monkeypatch.setattr("api.ui.pages.log.SEARCH_SECONDS", 0)
    lines = [b"line %d\n" % number for number in range(100)] + [b"y" * 200 + b" line 7\n", b"line 7"]
    data = b"".join(lines)
    append(store, claim, data)
    found, offset, answers = [], 0, 0
    while offset < len(data):
        answer = client.get(address(claim, f"/search?text=LINE+7&offset={offset}")).json or {}
        found += answer["lines"]
        assert answer["next"] > offset
        offset, answers = answer["next"], answers + 1
    assert answers > 10
    assert [data[each:][:7] for each in found[:11]] == [b"line 7\n", *[b"line 7%d" % each for each in range(10)]]
    assert found[-1] == len(data) - len("line 7")


def test_a_search_in_an_empty_log_and_one_for_nothing_find_nothing(
    client: FlaskClient, store: MemoryStore, claim: Claim
) -> None:
    assert client.get(address(claim, "/search?text=x")).json == {"lines": [], "next": 0}
    append(store, claim, b"x\n")
    assert client.get(address(claim, "/search")).json == {"lines": [], "next": 2}
    assert client.get(address(claim, "/search?text=x&offset=no")).status_code == 422


def test_where_the_last_error_is_told(client: FlaskClient, store: MemoryStore, claim: Claim) -> None:
    assert client.get(address(claim, "/error")).json == {"line": None}
    append(store, claim, b"begin\nTraceback (most recent call last):\n  File\nValueError: no\nend\n")
    assert client.get(address(claim, "/error")).json == {"line": 6 + 35 + 7}


def test_the_stream_tells_how_far_the_log_is_and_none_of_its_text(
    client: FlaskClient, store: MemoryStore, claim: Claim
) -> None:
    append(store, claim, b"data: secret\nid: 7\n\nevent: end\n")
    store.finish(claim, ENDED)
    answer = client.get(address(claim, "/stream"), headers={"Accept": "text/event-stream"})
    events = list(read_events(lines_of([answer.get_data()])))
    assert "secret" not in answer.text
    assert [(each.name, each.id) for each in events] == [("message", "31"), ("end", "31")]
    again = client.get(address(claim, "/stream?after=1:31"), headers={"Accept": "text/event-stream"})
    assert [each.name for each in read_events(lines_of([again.get_data()]))] == ["end"]


def test_the_stream_goes_on_with_the_next_attempt(
    client: FlaskClient, store: MemoryStore, claim: Claim, claim_job: ClaimJob
) -> None:
    append(store, claim, b"one\n")
    store.finish(claim, Ending(JobState.FAILED, reason=DOCKER_AWAY, retry_in_seconds=0))
    store.wake_retries()
    second = claim_job(claim.job.id)
    append(store, second, b"two\n")
    store.finish(second, ENDED)
    answer = client.get(
        address(claim, "/stream?after=1:0"), headers={"Accept": "text/event-stream", "Last-Event-ID": "4"}
    )
    events = list(read_events(lines_of([answer.get_data()])))
    assert (events[0].name, events[0].id) == ("attempt", "2:0")
    assert "id: 2:4" in answer.text


@pytest.mark.parametrize("how", ["signed out", "token revoked"])
def test_a_stream_ends_with_the_session(
    how: str, make_app: MakeApp, store: MemoryStore, claim_job: ClaimJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.access.known_tokens.LOOK_SECONDS", 0)
    monkeypatch.setattr("api.live.following.POLL_SECONDS", 0)
    browser = make_app(api_tokens=(TOKEN,)).test_client()
    job = (browser.post("/retrain", json=BODY, headers={"Authorization": f"Bearer {TOKEN}"}).json or {})["id"]
    claim_job(job)
    sign_in(browser, TOKEN)
    cookie = browser.get_cookie(COOKIE, path="/ui")
    assert cookie is not None
    answer = browser.get(f"/ui/jobs/{job}/log/stream", headers={"Accept": "text/event-stream"}, buffered=False)
    stream = cast(Iterator[bytes], iter(answer.response))
    assert b"retry:" in next(stream) + next(stream) + next(stream)
    if how == "signed out":
        other = browser.application.test_client()
        other.set_cookie(COOKIE, cookie.value, path="/ui")
        press(other, "/ui/jobs", "/ui/sign-out")
    else:
        store.end_session(hash_of(cookie.value))
    assert b"".join(stream).strip() == b""
    answer.close()
