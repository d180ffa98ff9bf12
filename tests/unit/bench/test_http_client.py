"""The benchmark's client: it must not take an error or half an answer for a fast one."""

import pytest

from tests.bench.http_client import is_whole, request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize(("answer", "whole"), [(HEAD + b"abc", True), (HEAD + b"ab", False), (HEAD[:20], False)])
def test_an_answer_is_whole_with_its_last_byte(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_a_refusal_is_not_measured() -> None:
    with pytest.raises(ConnectionError, match="the server refused"):
        is_whole(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


def test_a_body_makes_it_a_post() -> None:
    assert request("/retrain", b"{}").startswith(b"POST /retrain HTTP/1.1\r\n")
    assert request("/jobs") == b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
