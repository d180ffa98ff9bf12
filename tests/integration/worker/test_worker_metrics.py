"""What a worker counts: each event once, when it is committed; and its own /metrics."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from shared.alerts.kinds import kinds
from shared.alerts.model import AlertEvent, Alerting
from shared.errors import Code, ConfigurationError, FailureType, LeaseLost
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Claim, Ending
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import (
    DOCKER_AWAY,
    LONG_LEASE_SECONDS,
    SUCCEEDED,
    WAITED_TOO_LONG,
    a_host,
    claim,
    claimed,
    running,
    submit,
    try_claim,
)
from tests.support.metrics import samples_of
from tests.support.network.ports import free_port
from tests.support.servers.valkey import running_valkey
from tests.support.servers.worker import worker_process
from worker.metrics.counted_store import CountedStore
from worker.metrics.worker_metrics import WorkerMetrics

LOST_SECONDS = 900.0
EXIT_1 = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "Training ended with exit code 1.")


@pytest.fixture
def metrics() -> WorkerMetrics:
    return WorkerMetrics({"default", "slow"}, kinds())


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(sqlite_url: str, metrics: WorkerMetrics, clock: HeldClock) -> Iterator[CountedStore]:
    alerting = Alerting(frozenset({AlertEvent.SUCCEEDED}), frozenset({"discord"}))
    store = CountedStore(sqlite_url, metrics, limits=Limits(per_key=100), alerting=alerting, clock=clock)
    yield store
    store.close()


def count(metrics: WorkerMetrics, name: str, **labels: str) -> float:
    """What is counted now under this name; of a histogram that is its _count or _sum."""
    return metrics.registry.get_sample_value(f"retrain_{name}", labels) or 0.0


def test_a_wait_is_from_the_queue_to_the_claim(store: CountedStore, metrics: WorkerMetrics, clock: HeldClock) -> None:
    job_id = submit(store, queue="slow")
    clock.pass_seconds(90)
    host = a_host(queues=frozenset({"slow"}))
    claim(store, job_id, host=host)
    assert try_claim(store, job_id, host=host) is None
    assert count(metrics, "job_wait_seconds_sum", queue="slow") == 90
    assert count(metrics, "job_wait_seconds_count", queue="slow") == 1


def test_an_attempt_and_its_job_are_counted_when_they_end(
    store: CountedStore, metrics: WorkerMetrics, clock: HeldClock
) -> None:
    held = running(store)
    clock.pass_seconds(3600)
    store.finish(held, SUCCEEDED)
    assert count(metrics, "attempts_ended_total", reason="succeeded") == 1
    assert count(metrics, "attempt_duration_seconds_sum", outcome="succeeded") == 3600
    assert count(metrics, "jobs_ended_total", state="succeeded") == 1


def test_an_attempt_that_another_one_follows_ends_no_job(store: CountedStore, metrics: WorkerMetrics) -> None:
    store.finish(running(store), Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=5))
    assert count(metrics, "attempts_ended_total", reason="DOCKER_UNAVAILABLE") == 1
    assert count(metrics, "attempt_duration_seconds_count", outcome="infrastructure") == 1
    assert sum(count(metrics, "jobs_ended_total", state=state) for state in JobState) == 0


def test_what_a_cancel_ended_counts_as_cancelled(store: CountedStore, metrics: WorkerMetrics) -> None:
    held = running(store)
    store.cancel(held.job.id, force=False)
    store.finish(held, Ending(JobState.FAILED, EXIT_1))
    assert count(metrics, "attempts_ended_total", reason="USER_CANCELLED") == 1
    assert count(metrics, "attempt_duration_seconds_count", outcome="cancelled") == 1
    assert count(metrics, "jobs_ended_total", state="cancelled") == 1


def test_a_job_that_waited_too_long_is_counted_once(store: CountedStore, metrics: WorkerMetrics) -> None:
    job_id = submit(store)
    for _ in range(2):
        store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    assert count(metrics, "jobs_ended_total", state="failed") == 1


def test_messages_that_are_sent_again_are_counted(
    store: CountedStore, metrics: WorkerMetrics, clock: HeldClock
) -> None:
    for _ in range(2):
        submit(store)
    store.take_sendable(a_host(), resend_after_seconds=15)
    assert count(metrics, "resends_total") == 0
    clock.pass_seconds(16)
    store.take_sendable(a_host(), resend_after_seconds=15)
    assert count(metrics, "resends_total") == 2


@pytest.mark.parametrize("begin", [claimed, running])
def test_a_takeover_is_counted_and_is_no_wait(
    begin: Callable[[JobStore], Claim], store: CountedStore, metrics: WorkerMetrics, clock: HeldClock
) -> None:
    held = begin(store)
    clock.pass_seconds(2 * LONG_LEASE_SECONDS)
    claim(store, held.job.id)
    assert count(metrics, "takeovers_total", of="same_host") == 1
    assert count(metrics, "job_wait_seconds_count", queue="default") == 1


def test_an_attempt_that_is_taken_from_a_lost_host_is_counted(
    store: CountedStore, metrics: WorkerMetrics, clock: HeldClock
) -> None:
    held = running(store)
    for _ in range(100):
        store.beat(a_host("gpu-2"), gap_seconds=60)
        clock.pass_seconds(10)
    taken = store.take_from_lost_host(
        held.job.id, by="gpu-2", after_seconds=LOST_SECONDS, lease_seconds=LONG_LEASE_SECONDS
    )
    assert taken is not None
    assert count(metrics, "takeovers_total", of="lost_host") == 1


def test_a_lost_lease_counts_once_and_each_refused_write_by_itself(
    store: CountedStore, metrics: WorkerMetrics, clock: HeldClock
) -> None:
    old = claimed(store)
    clock.pass_seconds(2 * LONG_LEASE_SECONDS)
    claim(store, old.job.id)
    with pytest.raises(LeaseLost):
        store.renew(old, lease_seconds=LONG_LEASE_SECONDS)
    with pytest.raises(LeaseLost):
        store.append_log(old, b"late", source_offset=4)
    assert count(metrics, "fenced_writes_total") == 2
    assert count(metrics, "lease_losses_total") == 1
    assert count(metrics, "attempts_ended_total", reason="succeeded") == 0


def _finish(store: JobStore, claim: Claim) -> None:
    store.finish(claim, SUCCEEDED)


def _release(store: JobStore, claim: Claim) -> None:
    store.release(claim)


@pytest.mark.parametrize("end", [_finish, _release])
def test_a_renewal_that_comes_after_the_attempts_own_end_is_no_loss(
    end: Callable[[JobStore, Claim], None], store: CountedStore, metrics: WorkerMetrics
) -> None:
    held = running(store)
    end(store, held)
    with pytest.raises(LeaseLost):
        store.renew(held, lease_seconds=LONG_LEASE_SECONDS)
    assert (count(metrics, "fenced_writes_total"), count(metrics, "lease_losses_total")) == (0, 0)


def test_alerts_are_counted_when_they_are_sent_or_given_up(store: CountedStore, metrics: WorkerMetrics) -> None:
    for _ in range(2):
        store.finish(running(store), SUCCEEDED)
    sent, refused = (store.take_alert(["discord"], lease_seconds=60) for _ in range(2))
    assert sent is not None
    assert refused is not None
    store.alert_sent(sent)
    store.alert_failed(refused, retry_in_seconds=5)
    assert count(metrics, "alerts_given_up_total", channel="discord", event="succeeded") == 0
    store.alert_failed(refused, retry_in_seconds=None)
    assert count(metrics, "alerts_sent_total", channel="discord", event="succeeded") == 1
    assert count(metrics, "alerts_given_up_total", channel="discord", event="succeeded") == 1


def test_two_workers_in_one_process_count_apart(store: CountedStore, metrics: WorkerMetrics) -> None:
    store.finish(running(store), SUCCEEDED)
    assert count(WorkerMetrics({"default"}, kinds()), "jobs_ended_total", state="succeeded") == 0
    assert count(metrics, "jobs_ended_total", state="succeeded") == 1


@pytest.fixture
def port(metrics: WorkerMetrics) -> Iterator[int]:
    """Where the metrics are served."""
    port = free_port()
    server = metrics.serve("127.0.0.1", port)
    yield port
    server.shutdown()
    server.server_close()


def test_what_can_happen_is_served_at_zero_before_it_does(port: int) -> None:
    found = samples_of(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)
    assert found["retrain_jobs_ended_total"] == {
        (("state", state),): 0 for state in ("succeeded", "failed", "cancelled")
    }
    assert found["retrain_resends_total"] == {(): 0}
    assert set(found["retrain_job_wait_seconds_count"]) == {(("queue", "default"),), (("queue", "slow"),)}
    assert found["retrain_attempts_ended_total"][(("reason", "HOST_LOST"),)] == 0
    assert found["process_resident_memory_bytes"]


def test_a_port_that_is_taken_stops_the_start_with_the_settings_name(port: int) -> None:
    with pytest.raises(ConfigurationError, match="WORKER_METRICS_PORT"):
        WorkerMetrics({"default"}, kinds()).serve("127.0.0.1", port)


def test_a_worker_process_serves_what_it_has_done(tmp_path: Path) -> None:
    options = {"WORKER_METRICS_PORT": str(free_port()), "RETRY_MAX_ATTEMPTS": "1"}
    with (
        running_valkey() as valkey,
        worker_process(
            tmp_path / "worker", redis_url=valkey.url, tracking_uri="http://127.0.0.1:1", **options
        ) as worker,
    ):
        job = worker.ended(worker.submit(git_uri=f"file://{tmp_path}/nothing.git"))
        url = f"http://127.0.0.1:{options['WORKER_METRICS_PORT']}/metrics"
        found = samples_of(requests.get(url, timeout=5).text)
    assert job.reason is not None
    ended = {labels: number for labels, number in found["retrain_attempts_ended_total"].items() if number}
    assert ended == {(("reason", job.reason.code),): 1}
    assert found["retrain_job_wait_seconds_count"] == {(("queue", "default"),): 1}
    assert found["retrain_jobs_ended_total"][(("state", "failed"),)] == 1
