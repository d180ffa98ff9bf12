"""A host's signs of life, and what trains on it when they do not get through."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from shared.errors import Code, HostNameTaken, InfrastructureError
from shared.jobs.model import Job
from shared.scheduling.hosts import LIVE_SECONDS, Host, Machine
from shared.scheduling.limits import Limits
from shared.settings import Settings
from tests.fakes.runner import FakeAttempt, FakeRunner, Script
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import HOST, running
from tests.support.waiting import wait_until
from worker.attempt_name import attempt_name
from worker.host.heartbeat import Heartbeat
from worker.host.offer import HostOffer
from worker.resilience import survive
from worker.runners.seam import AttemptSpec, Handle

FREEZE_AFTER_SECONDS = 600
FIRST_SIGN_SECONDS = 30


class OneHost:
    """A host with one training, whose job is the store's; ``restart`` is the next worker's heartbeat."""

    def __init__(self, folder: Path) -> None:
        self.seconds = 1000.0
        self.store, self.runner = MemoryStore(limits=Limits(per_key=2)), FakeRunner(Script(hangs=True))
        self.settings = Settings.load(_env_file=None, data_dir=folder, worker_host=HOST, sweep_seconds=0.01)
        self.job = self.submit()
        self.runner.start_or_attach(AttemptSpec(self.job.id, 1, None, "true", folder))
        self.restart()

    def submit(self) -> Job:
        """Another job that trains here."""
        return running(self.store).job

    def restart(self) -> None:
        here = HostOffer(self.settings, self.runner)
        self.heartbeat = Heartbeat(self.settings, self.store, self.runner, here, clock=lambda: self.seconds)

    def pass_time(self, seconds: float) -> None:
        """Beat and look once after that time."""
        self.seconds += seconds
        survive("beat", self.heartbeat.beat)
        survive("guard", self.heartbeat.guard)

    @property
    def training(self) -> FakeAttempt:
        return self.runner.host.attempts[attempt_name(self.job)]


@pytest.fixture
def host(tmp_path: Path) -> OneHost:
    made = OneHost(tmp_path)
    made.pass_time(0)
    return made


def test_training_is_frozen_while_the_store_is_out_of_reach_and_goes_on_after(host: OneHost) -> None:
    host.store.down = True
    host.pass_time(FREEZE_AFTER_SECONDS)
    assert not host.training.is_paused

    host.pass_time(1)
    assert host.training.is_paused

    host.store.down = False
    host.pass_time(1)
    assert not host.training.is_paused


def test_what_is_started_while_the_store_is_out_of_reach_is_frozen_at_the_next_look(host: OneHost) -> None:
    host.store.down = True
    host.pass_time(FREEZE_AFTER_SECONDS + 1)
    late = host.runner.start_or_attach(AttemptSpec("late", 1, None, "true", Path()))

    host.pass_time(1)

    assert host.runner.host.attempts[late.name].is_paused


def test_an_engine_that_does_not_answer_is_asked_again_to_freeze_and_to_resume(host: OneHost) -> None:
    host.store.down, host.runner.is_available = True, False
    host.pass_time(FREEZE_AFTER_SECONDS + 1)
    host.runner.is_available = True
    host.pass_time(1)
    assert host.training.is_paused

    host.store.down, host.runner.is_available = False, False
    host.pass_time(1)
    host.runner.is_available = True
    host.pass_time(1)
    assert not host.training.is_paused


def test_one_training_that_cannot_be_frozen_or_resumed_does_not_keep_the_others(
    host: OneHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    stubborn = host.runner.start_or_attach(AttemptSpec(host.submit().id, 1, None, "true", Path()))
    pause, resume = host.runner.pause, host.runner.resume

    def unless_stubborn(act: Callable[[Handle], None], handle: Handle) -> None:
        if handle == stubborn:
            raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "This one does not answer.")
        act(handle)

    monkeypatch.setattr(host.runner.host, "attempts", dict(reversed(host.runner.host.attempts.items())))
    monkeypatch.setattr(host.runner, "pause", partial(unless_stubborn, pause))
    monkeypatch.setattr(host.runner, "resume", partial(unless_stubborn, resume))
    host.store.down = True
    host.pass_time(FREEZE_AFTER_SECONDS + 1)
    assert host.training.is_paused

    host.store.down = False
    host.pass_time(1)

    assert not host.training.is_paused


def test_training_whose_job_was_taken_away_stays_frozen(host: OneHost) -> None:
    host.store.down = True
    host.pass_time(FREEZE_AFTER_SECONDS + 1)
    host.store.down = False
    record = host.store._records[host.job.id]
    record.job = replace(record.job, host="another-host")

    host.pass_time(1)

    assert host.training.is_paused


def test_the_next_worker_lets_go_on_what_the_one_before_it_froze(host: OneHost) -> None:
    host.store.down = True
    host.pass_time(FREEZE_AFTER_SECONDS + 1)
    host.store.down = False
    host.restart()

    host.pass_time(1)

    assert not host.training.is_paused


def test_a_worker_that_never_reached_the_store_freezes_much_sooner(host: OneHost) -> None:
    host.store.down = True
    host.restart()

    host.pass_time(FIRST_SIGN_SECONDS)
    assert not host.training.is_paused

    host.pass_time(1)
    assert host.training.is_paused


def test_a_worker_that_stops_signs_off(host: OneHost) -> None:
    stopping = threading.Event()
    thread = threading.Thread(target=host.heartbeat.beat_until, args=(stopping,))
    thread.start()
    wait_until(lambda: host.store._beats, what="a sign of life")

    stopping.set()
    thread.join(5)

    assert not thread.is_alive()
    assert host.store._beats[HOST].has_left


MINE = Machine("a", "engine-a", "vm-a")
CLONE = Host(HOST, 1, {"default"}, "fake", machine=Machine("b", "engine-b", "vm-b"))


class Named:
    """A host with one training whose machine is known, and the heartbeats that follow one another on it."""

    def __init__(self, folder: Path) -> None:
        self.clock = HeldClock()
        self.store = MemoryStore(clock=self.clock)
        self.runner = FakeRunner(Script(hangs=True))
        settings = Settings.load(_env_file=None, data_dir=folder, worker_host=HOST)
        self.here = HostOffer(settings, self.runner, MINE)
        self.stopped = threading.Event()
        self.heartbeat = Heartbeat(settings, self.store, self.runner, self.here, on_refused=self.stopped.set)
        self.handle = self.runner.start_or_attach(AttemptSpec("job", 1, None, "true", folder))

    @property
    def is_frozen(self) -> bool:
        return self.runner.host.attempts[self.handle.name].is_paused


@pytest.fixture
def named(tmp_path: Path) -> Named:
    return Named(tmp_path)


def test_a_worker_whose_name_has_gone_to_another_machine_freezes_its_training_and_stops(named: Named) -> None:
    named.heartbeat.take_name()
    named.clock.pass_seconds(LIVE_SECONDS)
    named.store.beat(CLONE, gap_seconds=60)

    named.heartbeat.beat()

    assert named.stopped.is_set()
    assert (named.is_frozen, named.heartbeat.is_refused) == (True, True)
    named.heartbeat.guard()
    assert named.is_frozen
    named.heartbeat.beat_until(named.stopped)  # it signs off
    assert not named.store.list_workers()[0].has_left


def test_a_worker_of_a_name_that_another_machine_uses_does_not_start(named: Named) -> None:
    named.store.beat(CLONE, gap_seconds=60)

    def meanwhile(seconds: float) -> None:
        named.clock.pass_seconds(seconds)
        named.store.beat(CLONE, gap_seconds=60)

    with pytest.raises(HostNameTaken):
        named.heartbeat.take_name(meanwhile)
    assert named.is_frozen  # whoever runs its jobs now must be the only one


def test_a_worker_whose_containers_are_the_other_ones_leaves_them_alone(named: Named) -> None:
    same_engine = replace(CLONE, machine=Machine("b", "engine-a", "vm-b"))
    named.store.beat(same_engine, gap_seconds=60)

    def meanwhile(seconds: float) -> None:
        named.clock.pass_seconds(seconds)
        named.store.beat(same_engine, gap_seconds=60)

    with pytest.raises(HostNameTaken):
        named.heartbeat.take_name(meanwhile)
    assert not named.is_frozen


def test_a_worker_waits_until_it_is_sure_that_the_one_before_is_dead(named: Named) -> None:
    named.store.beat(CLONE, gap_seconds=60)
    waited: list[float] = []

    def meanwhile(seconds: float) -> None:
        waited.append(seconds)
        named.clock.pass_seconds(seconds)

    named.heartbeat.take_name(meanwhile)
    assert LIVE_SECONDS <= sum(waited) < LIVE_SECONDS + 10
    assert named.store.list_workers()[0].host.machine == MINE
