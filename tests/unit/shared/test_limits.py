"""The decisions about limits: patterns, order, devices, and for whom a host's GPUs are kept."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.scheduling.gpus import free_gpus, reserved_on
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits, Sending, Usage, allot
from shared.scheduling.waiting import Running, Waiting

HOST = Host("gpu-1", slots=4, queues={"default"}, runner="docker", gpus=("0", "1", "2", "3"))
BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
FREE = Usage(of_key=0, total=0, on_host=())


def _job(name: str = "job", *, gpus: int = 0, priority: int = 4, minute: int = 0, key: str = "") -> Waiting:
    return Waiting(name, "default", key or f"key of {name}", gpus, priority, BEGIN + timedelta(minutes=minute))


def _running(name: str, *gpu_ids: str) -> Running:
    return Running(name, f"key of {name}", HOST.name, gpu_ids)


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("model:huge-7", 2),
        ("model:huge-", 2),
        ("model:iris", 5),
        ("experiment:iris", 1),
        ("a model:iris", 1),
        ("modelxiris", 1),
        ("x[y]?", 7),
        ("xy", 1),
        ("model:huge\nline", 5),
    ],
)
def test_the_first_pattern_that_matches_the_whole_key_gives_its_limit(key: str, limit: int) -> None:
    limits = Limits(by_key=(("model:huge-*", 2), ("model:*", 5), ("x[y]?", 7)))
    assert limits.for_key(key) == limit


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a*b*c", "abc", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a--c", False),
        ("a*b*c*d", "acbd", False),
        ("*b*", "b!", True),
        ("*b*b*", "bb", True),
        ("*ab*ba*", "aba", False),
        ("b*b*", "b!", False),
        ("ab*bc", "abc", False),
    ],
)
def test_the_parts_of_a_pattern_come_in_their_order_and_share_no_character(pattern: str, key: str, fits: bool) -> None:
    assert Limits(by_key=((pattern, 7),)).for_key(key) == (7 if fits else 1)


def test_a_key_with_a_limit_of_its_own_may_use_all_of_it() -> None:
    limits = Limits(by_key=(("huge", 3),))
    assert allot(_job(key="huge"), HOST, usage=replace(FREE, of_key=2), limits=limits) == ()
    assert allot(_job(key="huge"), HOST, usage=replace(FREE, of_key=3), limits=limits) is QueueCode.KEY_LIMIT


@pytest.mark.parametrize(
    ("wish", "is_meant"),
    [
        ({}, True),
        ({"wanted_host": "gpu-1", "wanted_labels": ("a100",), "asks": ("timeout",)}, True),
        ({"wanted_host": "gpu-2"}, False),
        ({"wanted_labels": ("a100", "arm")}, False),
        ({"asks": ("colour",)}, False),
        ({"wanted_host": "gpu-2", "asks": ("colour",)}, False),
        ({"wanted_labels": ("arm",), "asks": ("colour",)}, False),
    ],
)
def test_a_job_is_meant_for_a_host_that_is_named_labelled_and_knows_all_that_it_asks(
    wish: dict[str, Any], is_meant: bool
) -> None:
    host = replace(HOST, labels=("a100", "gpu"), knows=frozenset({"timeout"}))
    assert replace(_job(), **wish).is_meant_for(host) is is_meant


def test_what_a_host_lacks_is_told_by_label_and_by_field() -> None:
    job = replace(_job(), wanted_labels=("a100", "arm"), asks=("timeout", "colour"))
    host = replace(HOST, labels=("a100",), knows=frozenset({"timeout"}))
    assert job.missing_labels(host) == ["arm"]
    assert job.unknown_to(host) == ["colour"]


def test_a_host_that_does_not_know_a_field_of_the_request_is_told_from_one_that_does_not_fit() -> None:
    job = replace(_job(), asks=("colour",))
    assert allot(job, replace(HOST, knows=frozenset()), usage=FREE, limits=Limits()) is QueueCode.NEWER_REQUEST
    assert allot(job, replace(HOST, knows=frozenset({"colour"})), usage=FREE, limits=Limits()) == ()


@pytest.mark.parametrize(
    ("earlier", "later", "goes"),
    [
        ({"wanted_host": "gpu-1"}, {"wanted_host": "gpu-1"}, True),
        ({"wanted_host": "gpu-1"}, {}, False),
        ({"wanted_labels": ("a100",)}, {}, False),
        ({"wanted_labels": ("a100",)}, {"wanted_host": "gpu-1"}, False),
        ({"wanted_host": "gpu-1"}, {"wanted_host": "gpu-2"}, False),
    ],
)
def test_a_job_goes_before_another_only_where_it_is_as_free(
    earlier: dict[str, Any], later: dict[str, Any], goes: bool
) -> None:
    first, second = replace(_job("a", key="k"), **earlier), replace(_job("b", key="k", minute=1), **later)
    assert first.goes_before(second) is goes


@pytest.mark.parametrize(
    ("usage", "limits", "code"),
    [
        (replace(FREE, of_key=1), Limits(), QueueCode.KEY_LIMIT),
        (replace(FREE, is_behind=True), Limits(per_key=9), QueueCode.KEY_LIMIT),
        (replace(FREE, total=3), Limits(total=3), QueueCode.TOTAL_LIMIT),
        (replace(FREE, on_host=[_running(str(n)) for n in range(4)]), Limits(), QueueCode.SLOTS),
        (replace(FREE, on_host=[_running("a", "0", "1", "2")]), Limits(), QueueCode.GPUS),
    ],
)
def test_each_limit_holds_a_job_back_under_its_own_code(usage: Usage, limits: Limits, code: QueueCode) -> None:
    assert allot(_job(gpus=2), HOST, usage=usage, limits=limits) is code


def test_a_closed_host_and_one_without_enough_gpus_take_nothing() -> None:
    closed = replace(HOST, closed_because=QueueCode.DISK_FULL)
    assert allot(_job(), closed, usage=FREE, limits=Limits()) is QueueCode.DISK_FULL
    assert allot(_job(gpus=5), HOST, usage=FREE, limits=Limits()) is QueueCode.NO_HOST_FITS


def test_a_job_gets_the_first_devices_that_nobody_holds() -> None:
    usage = replace(FREE, on_host=[_running("a", "0"), _running("b", "2"), _running("c", "one that is gone")])
    assert allot(_job(gpus=2), HOST, usage=usage, limits=Limits()) == ("1", "3")
    assert allot(_job(), HOST, usage=usage, limits=Limits()) == ()


def test_a_device_that_is_named_twice_is_one_device() -> None:
    assert free_gpus(replace(HOST, gpus=("0", "0", "1")), [_running("a", "1")]) == ("0",)


def test_jobs_of_one_key_and_queue_go_by_priority_and_then_by_age() -> None:
    first, second, urgent = (_job("a", key="k"), _job("b", minute=1, key="k"), _job("c", minute=2, priority=9, key="k"))
    assert first.goes_before(second)
    assert urgent.goes_before(first)
    assert not second.goes_before(first)
    assert not first.goes_before(first)
    assert not first.goes_before(replace(second, key="other"))
    assert not first.goes_before(replace(second, queue="other"))


def test_a_job_that_needs_more_gpus_lets_those_of_its_key_pass_that_need_fewer() -> None:
    big, small = _job("a", key="k", gpus=2), _job("b", minute=1, key="k", gpus=1)
    assert not big.goes_before(small)
    assert big.goes_before(replace(small, gpus=2))


def test_gpus_are_kept_on_the_largest_live_host_that_fits_and_of_two_on_the_first_by_name() -> None:
    waiting = [_job("w", gpus=2)]
    twin, small = replace(HOST, name="gpu-0"), replace(HOST, name="gpu-9", gpus=("0", "1"))
    assert reserved_on(HOST, waiting, [HOST, small]) == waiting
    assert reserved_on(small, waiting, [HOST, small]) == []
    assert reserved_on(twin, waiting, [HOST, twin]) == waiting
    assert reserved_on(HOST, waiting, [HOST, twin]) == []
    assert reserved_on(small, waiting, [replace(HOST, closed_because=QueueCode.DISK_FULL), small]) == waiting
    assert reserved_on(small, waiting, [replace(HOST, queues={"other"}), small]) == waiting
    assert reserved_on(HOST, [_job("w", gpus=5)], [HOST]) == []


@pytest.mark.parametrize(
    ("needs", "held", "is_kept"),
    [
        (1, 2, True),  # the big one needs three, two are free: nothing behind it may take one
        (1, 1, True),  # three are free: it fits, but not after this one
        (1, 0, False),  # four are free: both fit
        (3, 1, False),  # as big as the one ahead, which could have started instead
        (0, 4, False),  # needs none
    ],
)
def test_small_jobs_do_not_take_the_gpus_that_are_kept_for_a_big_one_ahead(
    needs: int, held: int, is_kept: bool
) -> None:
    usage = Usage(0, 0, [_running("a", *HOST.gpus[:held])], reserving=[_job("big", gpus=3)])
    given = allot(_job("small", gpus=needs, minute=1), HOST, usage=usage, limits=Limits())
    assert (given is QueueCode.GPUS_RESERVED) is is_kept


def test_a_job_ahead_of_the_one_that_gpus_are_kept_for_may_take_them() -> None:
    usage = Usage(0, 0, [_running("a", "0")], reserving=[_job("big", gpus=4, minute=5)])
    assert allot(_job(gpus=1), HOST, usage=usage, limits=Limits()) == ("1",)


def _sending(host: Host = HOST, limits: Limits | None = None, **fields: object) -> Sending:
    usual = {"on_host": [], "busy": Counter[str](), "total": 0, "reserving": ()}
    return Sending(host, limits or Limits(), **{**usual, **fields})  # type: ignore[arg-type]


def test_sending_stops_when_the_slots_are_full() -> None:
    sending = _sending(on_host=[_running("a")])
    for number in range(9):
        sending.offer(_job(str(number)))
    assert (sending.chosen, sending.is_over) == (["0", "1", "2"], True)


def test_sending_counts_what_it_chose_for_key_total_and_gpus() -> None:
    sending = _sending(limits=Limits(total=3), total=1)
    for job in (_job("a", key="k"), _job("b", key="k"), _job("c", gpus=9), _job("d", gpus=3), _job("e", gpus=2)):
        sending.offer(job)
    assert sending.chosen == ["a", "d"]
    assert (sending.held_keys, sending.is_over) == ({"k"}, True)


def test_sending_keeps_gpus_for_a_big_job_until_it_is_chosen_itself() -> None:
    big, small = _job("big", gpus=3, key="k"), _job("small", gpus=1, minute=1)
    held = _sending(on_host=[_running("a", "0", "1")], reserving=[big])
    free = _sending(reserving=[big])
    for sending in (held, free):
        sending.offer(big)
        sending.offer(small)
    assert (held.chosen, held.refused_gpus) == ([], {3, 1})
    assert free.chosen == ["big", "small"]


def test_sending_gives_no_device_twice() -> None:
    sending = _sending()
    for job in (_job("a", gpus=3), _job("b", gpus=2), _job("c", gpus=1)):
        sending.offer(job)
    assert sending.chosen == ["a", "c"]


@pytest.mark.parametrize(("busy", "chosen"), [(0, ["a", "b"]), (1, ["a"]), (2, [])])
def test_sending_counts_the_jobs_of_a_key_on_from_those_that_run(busy: int, chosen: list[str]) -> None:
    sending = _sending(limits=Limits(per_key=2), busy=Counter({"k": busy}))
    for name in ("a", "b", "c"):
        sending.offer(_job(name, key="k"))
    assert sending.chosen == chosen


def test_sending_remembers_the_labels_that_the_host_lacks() -> None:
    sending = _sending()
    for wish in ({"wanted_labels": ("arm",)}, {"wanted_labels": ("a100",)}, {"wanted_host": "gpu-2"}):
        sending.offer(replace(_job(), **wish))
    assert (sending.chosen, sending.refused_labels) == ([], {("arm",), ("a100",)})


def test_a_closed_host_is_sent_nothing() -> None:
    assert _sending(replace(HOST, closed_because=QueueCode.DISK_FULL)).is_over
