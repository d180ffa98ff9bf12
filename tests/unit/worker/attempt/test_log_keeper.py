"""An attempt's output on its way to the store: no gap, no repeat, one mark at the limit."""

import pytest

from shared.errors import LeaseLost, StoreUnavailable
from shared.jobs.records import Claim
from tests.unit.worker.attempt.output import MARK, SECRET, Output


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
