"""The token of an attempt: what it says, and who is believed."""

from dataclasses import replace

import pytest
from itsdangerous import URLSafeSerializer

from shared.secrets.attempt_key import attempt_key
from shared.secrets.attempt_tokens import SALT, Grant, InvalidToken, issue, verify

GRANT = Grant("job", 2, "2f", "1", "iris", 1000)
KEY = attempt_key("secret")


def test_a_token_says_what_was_put_into_it_and_is_always_the_same() -> None:
    assert verify(issue(GRANT, KEY), KEY, now=999) == GRANT
    assert issue(GRANT, KEY) == issue(GRANT, KEY)
    assert issue(replace(GRANT, attempt=3), KEY) != issue(GRANT, KEY)


def test_a_token_ends() -> None:
    with pytest.raises(InvalidToken, match="expired"):
        verify(issue(GRANT, KEY), KEY, now=1000)


@pytest.mark.parametrize(
    "token",
    [
        issue(GRANT, attempt_key("another")),
        issue(GRANT, KEY)[:-3],
        issue(GRANT, KEY) + "x",
        f"x{issue(GRANT, KEY)}",
        str(URLSafeSerializer(KEY, salt=SALT).dumps({"job_id": "job"})),
        "",
        ".",
        "ü",
    ],
)
def test_what_this_service_did_not_sign_is_not_believed(token: str) -> None:
    with pytest.raises(InvalidToken, match="not signed"):
        verify(token, KEY, now=0)


def test_the_key_says_nothing_about_the_secret_key_and_is_the_same_for_a_file_with_a_line_end() -> None:
    assert attempt_key("secret\n") == KEY
    assert "secret" not in KEY
    with pytest.raises(ValueError, match="empty"):
        issue(GRANT, "")
