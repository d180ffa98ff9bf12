"""A line of jobs of which many fail, before two hosts' real workers: a job that is tried again keeps its place."""

from pathlib import Path

import pytest

from tests.fakes.store import MemoryStore
from tests.simulation.line import violations_in_line
from tests.simulation.machine import host_settings, look_rarely
from tests.simulation.mutants import ImpatientStore
from tests.support.length import rounds

JOBS = rounds(40, long=1000)
HOSTS = ("gpu-1", "gpu-2")


@pytest.fixture(autouse=True)
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    look_rarely(monkeypatch)


@pytest.mark.timeout(1800)
def test_in_a_line_with_failures_in_between_nobody_is_passed_by_who_came_later(tmp_path: Path) -> None:
    settings = host_settings(tmp_path, *HOSTS)
    assert violations_in_line(settings, lambda limits, clock: MemoryStore(limits=limits, clock=clock), JOBS) == []


def test_a_store_that_puts_a_retried_job_behind_the_others_is_found_out(tmp_path: Path) -> None:
    settings = host_settings(tmp_path, *HOSTS)
    found = violations_in_line(settings, lambda limits, clock: ImpatientStore(limits=limits, clock=clock), 20)
    assert any("are passed by jobs of their key that came later" in each for each in found), found
