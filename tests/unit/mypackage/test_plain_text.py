"""Control sequences are taken out of what others wrote."""

import pytest

from mypackage.plain_text import plain, plain_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[1;31mb\x1b[0m", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("10%\r20%\r\n", "10%\n20%\n"),
        ("a\x1bcb\x1b", "ab"),
        ("tab\t€ 🙂", "tab\t€ 🙂"),
        ("\u202eabc\x9b31m", "abc"),
        ("\x1b]never ended\nnext", "\nnext"),
    ],
)
def test_control_sequences_are_taken_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_one_line_stays_one_line() -> None:
    assert plain_line("a\nb\r\tc\x1b[2K") == "a b c"
