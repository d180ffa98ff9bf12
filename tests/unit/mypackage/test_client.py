"""mypackage.client against the API's own app, over HTTP."""

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from mypackage.client import (
    Client,
    NotAuthenticated,
    Refused,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.servers.served_app import ServedApp, served
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, ClaimJob, MakeApp

TOKEN = "ghp_n0tF0rAnyb0dyElse"


@pytest.fixture
def serve(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServedApp]]:
    with served(make_app, monkeypatch) as start:
        yield start


@pytest.fixture
def server(serve: Callable[..., ServedApp]) -> ServedApp:
    return serve()


@pytest.fixture
def service(server: ServedApp) -> Client:
    return Client(server.url)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_a_retraining_is_a_job_at_once(service: Client, store: MemoryStore) -> None:
    job = service.retrain(**BODY, parameters={"alpha": 0.5})
    assert job.state == "queued"
    assert store.get(job.id).request["parameters"] == {"alpha": 0.5}
    assert service.job(job.id).record["transitions"] == job.record["transitions"]
    assert job.id in repr(job)


def test_the_address_and_the_token_come_from_the_environment(
    serve: Callable[..., ServedApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(api_tokens=(TOKEN,))
    monkeypatch.setenv("RETRAIN_URL", f"{server.url}/")
    monkeypatch.setenv("RETRAIN_TOKEN", f"{TOKEN}\n")
    assert Client().retrain(**BODY).state == "queued"


def test_a_missing_token_says_what_to_set_and_a_wrong_one_is_not_repeated(serve: Callable[..., ServedApp]) -> None:
    server = serve(api_tokens=("another",))
    for client in (Client(server.url), Client(server.url, TOKEN)):
        with pytest.raises(NotAuthenticated, match="Set RETRAIN_TOKEN") as caught:
            client.retrain(**BODY)
        assert TOKEN not in f"{caught.value!r} {caught.value} {client!r} {vars(client)!r}"


def test_a_netrc_file_sends_nothing(server: ServedApp, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", netrc)
    list(Client(server.url).jobs())
    assert "HTTP_AUTHORIZATION" not in server.environs[-1]


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_is_asked_for_this_machine(variable: str, service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert list(service.jobs()) == []


@pytest.mark.parametrize("url", ["localhost:5005", "ftp://host", "http://", "http://me:secret@host"])
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="RETRAIN_URL") as caught:
        Client(url)
    assert "secret" not in str(caught.value)


def test_a_token_that_no_header_can_carry_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="RETRAIN_TOKEN") as caught:
        Client("http://host", f"{TOKEN}\nX: y")
    assert TOKEN not in str(caught.value)


def test_a_server_that_is_away_is_named_with_what_to_do_in_one_short_traceback(
    server: ServedApp, service: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mypackage.client.http.CALL_PATIENCE_SECONDS", 0)
    server.stop()
    with pytest.raises(ServerUnreachable, match=rf"at {server.url} does not answer\. Check .*RETRAIN_URL") as caught:
        service.job("x")
    assert "urllib3" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ServerUnreachable, match=r"cannot be found: no name server knows the name nowhere\.invalid"):
        Client("http://nowhere.invalid").job("x")


def test_a_server_that_comes_back_soon_was_never_away(
    server: ServedApp, service: Client, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mypackage.client.http.CALL_PATIENCE_SECONDS", 30)
    server.stop()
    job = threads.submit(service.retrain, **BODY)
    server.start()
    assert job.result(30).state == "queued"


def test_a_retraining_whose_answer_is_lost_makes_one_job(
    server: ServedApp, service: Client, store: MemoryStore
) -> None:
    server.answers_to_lose = 2
    job = service.retrain(**BODY)
    assert [method for method, _ in server.requests] == ["POST"] * 3
    assert [each.id for each in service.jobs()] == [job.id]


def test_two_retrainings_are_two_jobs(service: Client) -> None:
    assert service.retrain(**BODY).id != service.retrain(**BODY).id


def test_a_store_that_is_away_is_waited_for(server: ServedApp, service: Client, store: MemoryStore) -> None:
    store.down = True
    with pytest.raises(Refused, match="job store does not answer") as caught:
        service.retrain(**BODY)
    assert caught.value.code == "STORE_UNAVAILABLE"
    assert len(server.requests) > 1


def test_a_caller_who_asks_too_often_comes_back_when_the_service_says(
    serve: Callable[..., ServedApp], monkeypatch: pytest.MonkeyPatch, store: MemoryStore
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("mypackage.client.http.CALL_PATIENCE_SECONDS", 0)
    server = serve(api_tokens="t", caller_requests_per_second=2, caller_burst_seconds=1)
    client, pause = Client(server.url, token="t"), time.sleep

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        pause(seconds)

    monkeypatch.setattr("mypackage.client.http.time.sleep", sleep)
    assert len({client.retrain(**BODY).id for _ in range(3)}) == len(store._records) == 3
    assert 1 in waited


def test_too_many_waiting_jobs_are_told_at_once(serve: Callable[..., ServedApp], store: MemoryStore) -> None:
    store.limits = Limits(waiting_per_caller=0)
    server = serve(api_tokens="t")
    with pytest.raises(Refused, match="CALLER_JOBS_QUEUED"):
        Client(server.url, token="t").retrain(**BODY)


def test_what_is_wrong_with_a_request_is_told_line_by_line(service: Client) -> None:
    with pytest.raises(Refused) as caught:
        service.retrain(experiment_name="", modle_name="x")
    assert caught.value.code == "VALIDATION_FAILED"
    head, *lines = str(caught.value).splitlines()
    assert head == "Several things in the request are wrong (422 VALIDATION_FAILED)"
    assert sorted(line.split()[1] for line in lines) == ["experiment_name", "git_uri", "modle_name"]
    assert "did you mean model_name?" in str(caught.value)


def test_a_token_in_an_address_is_in_no_error(service: Client) -> None:
    with pytest.raises(Refused) as caught:
        service.retrain(experiment_name="x", git_uri=f"https://{TOKEN}@")
    assert TOKEN not in f"{caught.value!r}{caught.value}"


def test_an_unknown_job_is_refused(service: Client) -> None:
    with pytest.raises(Refused, match="no job") as caught:
        service.job("nope")
    assert (caught.value.status, caught.value.code) == (404, "JOB_NOT_FOUND")


def test_an_id_with_a_slash_reaches_no_other_path(service: Client) -> None:
    with pytest.raises(Refused):
        service.job("../healthz")


def test_another_server_at_the_address_is_told_from_the_service() -> None:
    other = Flask("other")
    other.add_url_rule("/jobs/page", view_func=lambda: "<html>", endpoint="page")
    server = ServedApp(other).start()
    for job_id in ("page", "missing"):
        with pytest.raises(UnexpectedAnswer, match="RETRAIN_URL"):
            Client(server.url).job(job_id)
    server.stop()


def test_jobs_come_page_by_page_and_filtered(
    server: ServedApp, service: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mypackage.client.client.LARGEST_PAGE", 2)
    ids = [service.retrain(**BODY, labels={"n": str(n)}).id for n in range(5)][::-1]
    service.job(ids[0]).cancel()
    assert [job.id for job in service.jobs()] == ids
    assert [job.id for job in service.jobs(limit=3)] == ids[:3]
    assert [job.id for job in service.jobs(state="cancelled")] == ids[:1]
    assert [job.id for job in service.jobs(state=["queued", "running"], limit=2)] == ids[1:3]
    assert [job.id for job in service.jobs(label="n=3", experiment="iris")] == ids[1:2]
    assert list(service.jobs(model="other")) == []


def test_waiting_asks_once_and_is_answered_at_the_end(
    server: ServedApp, service: Client, store: MemoryStore, claim_job: ClaimJob, threads: ThreadPoolExecutor
) -> None:
    job = service.retrain(**BODY)
    claim = claim_job(job.id)
    waiting = threads.submit(job.wait, progress=False)
    wait_until(lambda: any("wait=60" in path for _, path in server.requests))
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert waiting.result(30) == job.state == "succeeded"
    assert len(server.requests) <= 4


def test_waiting_prints_each_change_once(
    service: Client, store: MemoryStore, claim_job: ClaimJob, capsys: pytest.CaptureFixture[str]
) -> None:
    job = service.retrain(**BODY)
    store.finish(claim_job(job.id), Ending(JobState.SUCCEEDED))
    assert job.wait() == "succeeded"
    assert capsys.readouterr().out.splitlines() == [
        "queued: submitted",
        "starting: claimed by gpu-1",
        "succeeded: the attempt succeeded",
    ]


def test_waiting_ends_with_its_time_and_leaves_the_job_alone(service: Client) -> None:
    job = service.retrain(**BODY)
    with pytest.raises(WaitTimeout, match="is queued"):
        job.wait(timeout=0.05)
    assert job.refresh().state == "queued"


def test_waiting_pauses_where_too_many_wait_already(server: ServedApp, service: Client) -> None:
    server.app.extensions["retrain"].long_poll.stop()  # nobody may wait
    job = service.retrain(**BODY)
    with pytest.raises(WaitTimeout):
        job.wait(timeout=0.5, progress=False)
    assert len(server.requests) < 6


def test_waiting_goes_on_through_a_restart(
    server: ServedApp, service: Client, store: MemoryStore, claim_job: ClaimJob, threads: ThreadPoolExecutor
) -> None:
    job = service.retrain(**BODY)
    waiting = threads.submit(job.wait, progress=False)
    server.stop()
    server.app.extensions["retrain"].long_poll.stop()
    store.finish(claim_job(job.id), Ending(JobState.SUCCEEDED))
    server.start()
    assert waiting.result(30) == "succeeded"


def test_a_cancel_whose_answer_is_lost_succeeds(server: ServedApp, service: Client) -> None:
    job = service.retrain(**BODY)
    server.answers_to_lose = 1
    assert job.cancel(force=True).state == "cancelled"
    assert service.job(job.id).cancel().state == "cancelled"


def test_a_job_that_succeeded_cannot_be_cancelled(service: Client, store: MemoryStore, claim_job: ClaimJob) -> None:
    job = service.retrain(**BODY)
    store.finish(claim_job(job.id), Ending(JobState.SUCCEEDED))
    with pytest.raises(Refused, match="has ended as succeeded"):
        job.cancel()


def test_a_retry_is_a_new_job(server: ServedApp, service: Client) -> None:
    job = service.retrain(**BODY)
    with pytest.raises(Refused) as caught:
        job.retry()
    assert caught.value.code == "JOB_NOT_ENDED"
    job.cancel()
    server.answers_to_lose = 1
    again = job.retry(pin=False)
    assert again.record["retry_of"] == job.id
    assert len(list(service.jobs())) == 2


def test_a_retry_takes_the_address_with_its_token_again(service: Client) -> None:
    job = service.retrain(experiment_name="x", git_uri=f"https://{TOKEN}@github.com/user/iris.git").cancel()
    with pytest.raises(Refused, match="had credentials in it"):
        job.retry()
    assert job.retry(git_uri=f"https://{TOKEN}@github.com/user/iris.git").state == "queued"
