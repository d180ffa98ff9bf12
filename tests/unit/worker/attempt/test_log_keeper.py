"""An attempt's output on its way to the store: no gap, no repeat, no secret, one mark at the limit."""

from pathlib import Path

import pytest

from shared.errors import LeaseLost, StoreUnavailable
from shared.jobs.records import Claim
from shared.secrets.redactor import Redactor
from tests.fakes.runner import FakeHost, FakeRunner, Script
from tests.fakes.store import MemoryStore
from tests.support.jobs import running
from worker.attempt import log_keeper
from worker.attempt.log_keeper import LONGEST_LINE_BYTES, LONGEST_SECRET_BYTES, LogKeeper
from worker.attempt_name import attempt_name
from worker.runners.seam import AttemptSpec, Handle, LogBounds

SECRET = "ghp_s3cret"
MARK = b"\n[the log was cut here: it is longer than LOG_LIMIT_BYTES=%d]\n"


class Output:
    """One attempt's output, and what is kept of it."""

    def __init__(self, *, limit_bytes: int = 10**9) -> None:
        self.store = MemoryStore()
        self.claim = running(self.store)
        self.bounds = LogBounds(kept_bytes=limit_bytes, flood_bytes=4 * limit_bytes)
        self.runner = FakeRunner(Script(hangs=True), host=FakeHost())
        spec = AttemptSpec(self.claim.job.id, 1, None, "true", Path())
        self.handle: Handle = self.runner.start_or_attach(spec)

    def keeper(self) -> LogKeeper:
        """A keeper that begins where the store says, as the one of the next worker does."""
        claim = Claim(self.store.get(self.claim.job.id), self.claim.token)
        redactor = Redactor([SECRET])
        return LogKeeper(claim, store=self.store, runner=self.runner, redactor=redactor, bounds=self.bounds)

    def print(self, text: bytes) -> None:
        """Let the training print."""
        self.runner.print(attempt_name(self.claim.job), text)

    @property
    def stored_offset(self) -> int:
        """Up to where the store has the output."""
        return self.store.get(self.claim.job.id).attempt.log_source_offset

    @property
    def kept(self) -> bytes:
        """The log in the store."""
        return self.store.read_log(self.claim.job.id, attempt=1, offset=0, limit=10**9).data


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


def test_the_limit_is_marked_once() -> None:
    output = Output(limit_bytes=10)
    keeper = output.keeper()
    for line in (b"12345\n", b"67890\n", b"more\n"):
        output.print(line)
        keeper.pump(output.handle)

    assert output.kept == b"12345\n6789" + MARK % 10


def test_the_limit_is_marked_once_when_the_next_worker_goes_on() -> None:
    output = Output(limit_bytes=6)
    for line in (b"12345\n", b"67890\n", b"more\n"):
        output.print(line)
        output.keeper().pump(output.handle)

    assert output.kept == b"12345\n" + MARK % 6


def test_what_is_held_back_is_not_read_again() -> None:
    output = Output()
    keeper = output.keeper()
    for piece in (b"one\ntw", b"o\nthr", b"ee\nfour"):
        output.print(piece)
        keeper.pump(output.handle)
    assert output.stored_offset == len(b"one\ntwo\nthree\n")
    assert keeper.drain(output.handle)

    assert output.runner.host.read == sorted(output.runner.host.read)
    assert output.kept == b"one\ntwo\nthree\nfour"


def test_after_the_mark_at_the_limit_nothing_is_read_any_more() -> None:
    output = Output(limit_bytes=10)
    keeper = output.keeper()
    output.print(b"more than fits\n")
    keeper.pump(output.handle)
    assert output.runner.host.closed == [output.handle.name]
    reads = len(output.runner.host.read)

    for each in (keeper, output.keeper()):
        output.print(b"more\n")
        each.pump(output.handle)
        assert each.drain(output.handle)
    assert len(output.runner.host.read) == reads
    assert output.kept == b"more than " + MARK % 10


def test_where_the_runner_kept_no_more_the_mark_stands_once_whichever_worker_looks() -> None:
    output = Output(limit_bytes=20)
    output.runner.log_bounds = output.bounds
    output.print(b"10%\r20%\r30%\r40%\r50%\r60%\r")
    for _worker in range(2):
        keeper = output.keeper()
        for _ in range(2):
            keeper.pump(output.handle)
            assert keeper.drain(output.handle)

    assert output.kept == b"50%\n" + MARK % 20


def test_output_that_the_runner_did_not_keep_counts_for_a_flood_with_every_worker() -> None:
    output = Output(limit_bytes=10)
    output.runner.log_bounds = output.bounds
    keeper = output.keeper()
    output.print(b"x" * 40)
    keeper.pump(output.handle)
    assert not keeper.is_flood

    output.print(b"x")
    for each in (keeper, output.keeper()):
        each.pump(output.handle)
        assert (each.is_flood, each.printed_bytes) == (True, 41)


def test_the_next_worker_reads_on_where_masks_made_the_log_shorter_than_the_output() -> None:
    output = Output()
    output.print(SECRET.encode() + b"\nhalf ")
    output.keeper().pump(output.handle)
    output.print(b"line\n")

    assert output.keeper().drain(output.handle)
    assert output.kept == b"***\nhalf line\n"


def test_a_store_that_was_away_gets_what_it_missed_once() -> None:
    output = Output()
    keeper = output.keeper()
    output.print(b"one\n")
    keeper.pump(output.handle)
    output.store.down = True
    output.print(b"two\n")
    keeper.pump(output.handle)
    assert not keeper.drain(output.handle)

    output.store.down = False
    assert keeper.drain(output.handle)
    assert output.kept == b"one\ntwo\n"


def test_text_that_a_store_kept_though_it_broke_off_is_not_kept_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output()
    keeper = output.keeper()
    append = output.store.append_log

    def append_and_break(claim: Claim, data: bytes, *, source_offset: int) -> None:
        append(claim, data, source_offset=source_offset)
        raise StoreUnavailable("The connection broke after the commit.")

    output.print(b"one\n")
    with monkeypatch.context() as patched:
        patched.setattr(output.store, "append_log", append_and_break)
        keeper.pump(output.handle)
    output.print(b"two\n")
    keeper.pump(output.handle)

    assert output.kept == b"one\ntwo\n"


def test_an_engine_that_is_away_is_asked_again() -> None:
    output = Output()
    keeper = output.keeper()
    output.print(b"one\n")
    output.runner.is_available = False
    assert not keeper.drain(output.handle)

    output.runner.is_available = True
    assert keeper.drain(output.handle)
    assert output.kept == b"one\n"


def test_the_output_of_a_container_that_is_gone_is_not_waited_for() -> None:
    output = Output()
    keeper = output.keeper()
    output.runner.vanish(output.handle.name)

    assert keeper.drain(output.handle)


def test_a_keeper_without_the_lease_stops() -> None:
    output = Output()
    keeper = output.keeper()
    output.store.release(output.claim)
    output.print(b"one\n")

    with pytest.raises(LeaseLost):
        keeper.pump(output.handle)


def read_by(count: int):  # type: ignore[no-untyped-def]
    """A read_log that returns so many bytes at most."""
    whole = FakeRunner.read_log
    return lambda runner, handle, offset: whole(runner, handle, offset)[:count]
