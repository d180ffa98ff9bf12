"""An attempt's output, line by line: progress bars, line ends, and secrets that are masked."""

import pytest

from tests.fakes.runner import FakeRunner
from tests.unit.worker.attempt.output import SECRET, Output
from worker.attempt import log_keeper
from worker.attempt.log_keeper import LONGEST_LINE_BYTES, LONGEST_SECRET_BYTES


def test_a_line_is_taken_when_it_is_whole() -> None:
    output = Output()
    keeper = output.keeper()
    output.print(b"one\ntw")
    keeper.pump(output.handle)
    assert output.kept == b"one\n"

    output.print(b"o\n")
    keeper.pump(output.handle)
    assert output.kept == b"one\ntwo\n"


def test_the_end_of_the_output_needs_no_line_end() -> None:
    output = Output()
    output.print(b"one\ntwo")

    assert output.keeper().drain(output.handle)
    assert output.kept == b"one\ntwo"


def test_a_progress_bar_is_one_line_at_each_look_and_ends_at_what_it_last_showed() -> None:
    output = Output()
    keeper = output.keeper()
    for look in (b"epoch 1\n\r10%\r20%\r3", b"0%\r40%", b"\r90%\r100%\nepoch 2\n"):
        output.print(look)
        keeper.pump(output.handle)

    assert output.kept == b"epoch 1\n20%\n30%\n100%\nepoch 2\n"


def test_a_line_end_of_two_characters_is_one_line_end_also_where_a_look_falls_between() -> None:
    output = Output()
    keeper = output.keeper()
    for look in (b"one\r\ntwo\r", b"\nthree\r\n"):
        output.print(look)
        keeper.pump(output.handle)

    assert output.kept == b"one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        (b"\r 50%\r100%", b"100%"),
        (b"50%\r100%\r", b"100%\n"),
        (b"done\r    \r", b"done\n"),
        (b"\r", b""),
        (b"a\n\r\r\nb\r", b"a\n\nb\n"),
        (b"no bar\r\n", b"no bar\n"),
        (b"two\r\r\nends\r", b"two\nends\n"),
    ],
)
def test_the_end_of_the_output_shows_what_a_terminal_shows(printed: bytes, seen: bytes) -> None:
    output = Output()
    output.print(printed)

    assert output.keeper().drain(output.handle)
    assert output.kept == seen


def test_a_secret_that_is_printed_in_two_pieces_is_masked() -> None:
    output = Output()
    keeper = output.keeper()
    for piece in (b"token=ghp_", b"s3c", b"ret\n"):
        output.print(piece)
        keeper.pump(output.handle)

    assert output.kept == b"token=***\n"


def test_a_secret_at_the_edge_of_a_read_is_masked_at_the_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_keeper, "READ_BYTES", 32)
    monkeypatch.setattr(FakeRunner, "read_log", read_by(8))
    output = Output()
    output.print(b"one line\n" + b"x" * 18 + SECRET.encode() + b"\nanother line\n")

    assert output.keeper().drain(output.handle)
    assert output.kept == b"one line\n" + b"x" * 18 + b"***\nanother line\n"


@pytest.mark.parametrize("before", [0, LONGEST_SECRET_BYTES - 4, LONGEST_SECRET_BYTES + 3, 2 * LONGEST_SECRET_BYTES])
def test_a_secret_in_a_line_without_end_is_masked_wherever_the_line_is_cut(before: int) -> None:
    output = Output()
    keeper = output.keeper()
    filler = LONGEST_LINE_BYTES - before
    output.print(b"x" * filler + SECRET.encode() + b"y" * before)
    keeper.pump(output.handle)
    assert len(output.kept) > 0

    output.print(b"z\n")
    keeper.pump(output.handle)
    assert output.kept == b"x" * filler + b"***" + b"y" * before + b"z\n"


def test_a_secret_that_has_only_begun_when_its_line_is_cut_is_masked() -> None:
    output = Output()
    keeper = output.keeper()
    output.print(b"x" * LONGEST_LINE_BYTES + SECRET[:5].encode())
    keeper.pump(output.handle)
    assert len(output.kept) > 0

    output.print(SECRET[5:].encode() + b"\n")
    keeper.pump(output.handle)
    assert output.kept == b"x" * LONGEST_LINE_BYTES + b"***\n"


def read_by(count: int):  # type: ignore[no-untyped-def]
    """A read_log that returns so many bytes at most."""
    whole = FakeRunner.read_log
    return lambda runner, handle, offset: whole(runner, handle, offset)[:count]
