"""The health check of a worker's container: a time among its metrics is recent, or it is not well."""

import pytest

from deploy.healthy import is_recent

METRICS = "# HELP seen When.\n# TYPE seen gauge\nseen 1000.5\nseen_other 5000.0\n"


@pytest.mark.parametrize(("now", "is_so"), [(1000.5, True), (1090.0, True), (1091.0, False)])
def test_a_time_is_recent_until_it_is_too_old(now: float, is_so: bool) -> None:
    assert is_recent(METRICS, "seen", within_seconds=90, now=now) is is_so


def test_a_metric_that_is_not_there_is_not_recent() -> None:
    assert not is_recent(METRICS, "unseen", within_seconds=90, now=1000)
