"""GET /metrics: what the job store knows, and how the API answers."""

import pytest
from flask.testing import FlaskClient

from shared.alerts.kinds import kinds
from shared.alerts.model import AlertEvent, Alerting
from shared.jobs.triggers import Kind, NewTrigger, Occurrence, Outcome
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.metrics import Samples, samples_of
from tests.unit.conftest import HOST, ClaimJob, MakeApp, Submit

REQUESTS = "retrain_http_request_duration_seconds_count"


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(clock: HeldClock) -> MemoryStore:
    alerting = Alerting(frozenset({AlertEvent.CANCELLED}), frozenset({"webhook"}))
    return MemoryStore(limits=Limits(per_key=100), clock=clock, alerting=alerting)


def scrape(client: FlaskClient) -> Samples:
    answer = client.get("/metrics")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    return samples_of(answer.text)


def test_jobs_are_counted_in_all_states_and_by_queue(
    client: FlaskClient, clock: HeldClock, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    claim_job(submit()["id"])
    submit(queue="slow")
    clock.pass_seconds(30)
    submit(queue="slow")
    found = scrape(client)
    assert found["retrain_store_up"] == {(): 1}
    assert len(found["retrain_jobs"]) == 8
    states = {state: found["retrain_jobs"][(("state", state),)] for state in ("queued", "starting", "failed")}
    assert states == {"queued": 2, "starting": 1, "failed": 0}
    assert found["retrain_queued_jobs"] == {(("queue", "default"),): 0, (("queue", "slow"),): 2}
    assert found["retrain_oldest_queued_job_seconds"][(("queue", "slow"),)] == 30


def test_slots_and_gpus_are_told_by_host(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    claim_job(submit(resources={"gpus": 2})["id"])
    found, mine = scrape(client), (("host", "gpu-1"),)
    names = ("retrain_slots", "retrain_used_slots", "retrain_gpus", "retrain_used_gpus")
    assert [found[name][mine] for name in names] == [100, 1, 2, 2]
    assert found["retrain_workers"][(("state", "alive"),)] == 1


def test_a_host_that_is_gone_offers_nothing_but_what_it_runs_is_still_told(
    client: FlaskClient, clock: HeldClock, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    for host in (HOST, Host("idle", 1, {"default"}, "docker")):
        store.beat(host, gap_seconds=60)
    claim_job(submit()["id"])
    clock.pass_seconds(61)
    found = scrape(client)
    assert "retrain_slots" not in found
    assert found["retrain_used_slots"] == {(("host", "gpu-1"),): 1}
    assert found["retrain_workers"][(("state", "silent"),)] == 2


def test_a_closed_host_is_told_with_the_reason(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(Host("full", 1, {"default"}, "docker", closed_because=QueueCode.DISK_FULL), gap_seconds=60)
    store.beat(HOST, gap_seconds=60)
    assert scrape(client)["retrain_closed_hosts"] == {(("host", "full"), ("reason", "DISK_FULL")): 1}


def test_alerts_that_wait_are_told_by_channel(client: FlaskClient, clock: HeldClock, submit: Submit) -> None:
    client.post(f"/jobs/{submit()['id']}/cancel")
    clock.pass_seconds(90)
    found = scrape(client)
    none_wait = {(("channel", kind),): 0 for kind in kinds()}
    assert found["retrain_waiting_alerts"] == {**none_wait, (("channel", "webhook"),): 1}
    assert found["retrain_oldest_waiting_alert_seconds"][(("channel", "webhook"),)] == 90


def test_while_the_store_is_away_the_rest_is_told(client: FlaskClient, store: MemoryStore) -> None:
    store.down = True
    found = scrape(client)
    assert found["retrain_store_up"] == {(): 0}
    assert "retrain_jobs" not in found
    assert found["process_cpu_seconds_total"]


def test_requests_are_counted_by_route_and_never_by_path(client: FlaskClient, submit: Submit) -> None:
    job_id = submit()["id"]
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}?wait=0", "/jobs/another", "/nothing/there"):
        client.get(path)
    client.open("/jobs", method="BREW")
    counted = scrape(client)[REQUESTS]
    assert {
        (dict(labels)["route"], dict(labels)["method"], dict(labels)["status"]): n for labels, n in counted.items()
    } == {
        ("/retrain", "POST", "202"): 1,
        ("/jobs/<job_id>", "GET", "200"): 1,
        ("/jobs/<job_id>?wait", "GET", "200"): 1,
        ("/jobs/<job_id>", "GET", "404"): 1,
        ("none", "GET", "404"): 1,
        ("none", "other", "405"): 1,
    }


def test_triggers_are_counted_in_all_states_and_their_events_by_outcome(
    client: FlaskClient, clock: HeldClock, store: MemoryStore
) -> None:
    store.create_trigger(NewTrigger(name="a", template={}, when={"every": 60}, policy={}, kind=Kind.EVERY))
    clock.pass_seconds(301)
    store.report("a", Occurrence("1", clock()))
    found = scrape(client)
    assert found["retrain_triggers"] == {(("state", "active"),): 1, (("state", "paused"),): 0}
    assert found["retrain_triggers_overdue"] == {(): 1}
    assert found["retrain_trigger_events"][(("outcome", "waiting"),)] == 1
    assert len(found["retrain_trigger_events"]) == len(Outcome)


def test_two_apps_count_apart(client: FlaskClient, make_app: MakeApp) -> None:
    client.get("/jobs")
    assert REQUESTS not in scrape(make_app().test_client())


def test_metrics_are_told_to_holders_of_a_token_only_and_refusals_are_counted(make_app: MakeApp) -> None:
    guarded = make_app(api_tokens="t").test_client()
    assert guarded.get("/metrics").status_code == 401
    answer = guarded.get("/metrics", headers={"Authorization": "Bearer t"})
    labels = (("method", "GET"), ("route", "/metrics"), ("status", "401"))
    assert samples_of(answer.text)[REQUESTS] == {labels: 1}
