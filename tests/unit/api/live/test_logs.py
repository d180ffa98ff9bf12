"""GET /jobs/<id>/logs."""

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.live.log_text import skip_partial_start, without_partial_end
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Claim, Ending
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import ClaimJob, Submit


@pytest.fixture
def claim(submit: Submit, claim_job: ClaimJob) -> Claim:
    """A job at its first attempt."""
    return claim_job(submit()["id"])


def read(client: FlaskClient, claim: Claim, query: str = "") -> TestResponse:
    return client.get(f"/jobs/{claim.job.id}/logs?{query}")


def place(answer: TestResponse) -> tuple[int, ...]:
    names = ("X-Log-Attempt", "X-Log-Offset", "X-Log-Next-Offset", "X-Log-Size")
    return tuple(int(answer.headers[name]) for name in names)


def test_a_log_is_plain_text_that_says_where_it_stands(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    store.append_log(claim, b"epoch 1\nepoch 2\n", source_offset=16)
    answer = read(client, claim)
    assert answer.text == "epoch 1\nepoch 2\n"
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert place(answer) == (1, 0, 16, 16)


def test_following_a_log_gives_every_byte_once(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    text = "".join(f"epoch {n}: ∑ ≈ 0,{n}€ 🙂\n" for n in range(40))
    for at in range(0, len(text.encode()), 7):
        store.append_log(claim, text.encode()[at : at + 7], source_offset=at)
    offset, parts = 0, []
    while (answer := read(client, claim, f"offset={offset}&limit=17")).data:
        parts.append(answer.data.decode())
        offset = place(answer)[2]
    assert "".join(parts) == text


def test_half_a_character_at_the_end_waits_for_its_rest(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    store.append_log(claim, "ok €".encode()[:-1], source_offset=5)
    answer = read(client, claim)
    assert answer.text == "ok "
    assert place(answer) == (1, 0, 3, 5)


def test_half_a_character_at_the_end_of_a_log_that_is_over_is_given_as_it_is(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    store.append_log(claim, "ok €".encode()[:-1], source_offset=5)
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert place(read(client, claim)) == (1, 0, 5, 5)


def test_a_tail_is_the_end_of_the_log_from_a_whole_character_on(
    client: FlaskClient, claim: Claim, store: MemoryStore
) -> None:
    store.append_log(claim, "aaaa€bc".encode(), source_offset=9)
    answer = read(client, claim, "tail=4")
    assert answer.text == "bc"
    assert place(answer) == (1, 7, 9, 9)
    assert read(client, claim, "tail=100").text == "aaaa€bc"


def test_a_large_tail_is_answered_whole(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    store.append_log(claim, b"x" * 3_000_000, source_offset=3_000_000)
    assert len(read(client, claim, "tail=2500000").data) == 2_500_000
    assert len(read(client, claim).data) == 2**20


def test_an_offset_behind_the_end_gives_nothing_yet(client: FlaskClient, claim: Claim, store: MemoryStore) -> None:
    store.append_log(claim, b"abc", source_offset=3)
    answer = read(client, claim, "offset=100")
    assert answer.data == b""
    assert place(answer) == (1, 3, 3, 3)


def test_a_job_without_an_attempt_has_an_empty_log(client: FlaskClient, submit: Submit) -> None:
    answer = client.get(f"/jobs/{submit()['id']}/logs")
    assert (answer.status_code, answer.data) == (200, b"")
    assert place(answer) == (0, 0, 0, 0)


def test_each_attempt_has_its_own_log(
    client: FlaskClient, claim: Claim, claim_job: ClaimJob, store: MemoryStore
) -> None:
    store.append_log(claim, b"first", source_offset=5)
    reason = Reason(Code.GIT_UNREACHABLE, FailureType.INFRASTRUCTURE, "no answer")
    store.finish(claim, Ending(JobState.FAILED, reason=reason, retry_in_seconds=0))
    store.wake_retries()
    store.append_log(claim_job(claim.job.id), b"second", source_offset=6)
    assert read(client, claim).text == "second"
    assert read(client, claim, "attempt=1").text == "first"


@pytest.mark.parametrize("number", [2, 99])
def test_an_unknown_attempt_is_not_found(client: FlaskClient, claim: Claim, number: int) -> None:
    answer = read(client, claim, f"attempt={number}")
    assert answer.status_code == 404
    assert (answer.json or {})["code"] == "ATTEMPT_NOT_FOUND"


def test_an_unknown_job_has_no_log(client: FlaskClient) -> None:
    answer = client.get("/jobs/nope/logs")
    assert (answer.json or {})["code"] == "JOB_NOT_FOUND"


@pytest.mark.parametrize("query", ["offset=1&tail=1", "offset=-1", "tail=0", "limit=8388609", "attempt=0", "from=1"])
def test_a_part_that_cannot_be_is_refused(client: FlaskClient, claim: Claim, query: str) -> None:
    assert read(client, claim, query).status_code == 422


def test_bytes_that_are_no_utf_8_are_neither_lost_nor_awaited_for_ever() -> None:
    assert without_partial_end(b"\x80\x80\x80\x80\x80") == b"\x80\x80\x80\x80\x80"
    assert skip_partial_start(b"\x80\x80\x80\x80\x80") == 0
    assert without_partial_end(b"") == b""
    assert skip_partial_start(b"") == 0


@pytest.mark.parametrize("character", ["a", "é", "€", "🙂"])
def test_a_character_is_kept_whole_or_left_out(character: str) -> None:
    encoded = character.encode()
    assert without_partial_end(b"x" + encoded) == b"x" + encoded
    for cut in range(1, len(encoded)):
        assert without_partial_end(b"x" + encoded[:cut]) == b"x"
        assert skip_partial_start(encoded[cut:] + b"x") == len(encoded) - cut


def _get_job_log(api: Api) -> Asking:
    path = f"/jobs/{api.ended_job()}/logs"
    return Asking(path, others={"404": lambda: api.client().get(f"{path}?attempt=9")})


DOCUMENTED: Documented = {"GET /jobs/<job_id>/logs": _get_job_log}
