"""Pinning the data where its repository does not answer the worker."""

from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError
from tests.fakes.source import FakeSource
from worker.attempt.dataset_pin import pin

DATA = "https://host/data.git"


@pytest.fixture
def source(tmp_path: Path) -> FakeSource:
    """A repository that cannot be reached from here."""
    source = FakeSource(tmp_path)
    source.errors.append(InfrastructureError(Code.GIT_UNREACHABLE, "no answer"))
    return source


def test_a_plain_url_is_left_to_the_training_which_may_reach_what_the_worker_does_not(source: FakeSource) -> None:
    assert pin(DATA, source=source, credentials=None, timeout_seconds=600) is None
    assert pin(DATA, source=source, credentials=None, timeout_seconds=600) is not None


def test_a_revision_that_was_asked_for_is_found_or_the_attempt_fails(source: FakeSource) -> None:
    with pytest.raises(InfrastructureError):
        pin(f"{DATA}@main", source=source, credentials=None, timeout_seconds=600)
