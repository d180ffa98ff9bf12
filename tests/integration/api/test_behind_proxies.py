"""The API behind a real nginx and a proxy like Caddy, each configured by what the documentation says."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.sql import SqlStore
from tests.support.event_stream import lines_of, read_events
from tests.support.jobs import running
from tests.support.network.caddy_like import running_caddy_like
from tests.support.network.nginx import running_nginx
from tests.support.network.ports import free_port
from tests.support.retrain_command import RetrainCommand
from tests.support.servers.api_server import ApiServer, running_api

PAGE = Path(__file__).parents[3] / "docs/operate/behind-a-proxy.md"
BLOCK = r"<!-- test: {name} -->\n```\w*\n(.*?)```"
BODY = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}
TIMEOUT_SECONDS = 30
TOKEN = "tok-1"
WAYS_TO_KNOW = {
    "public": {"API_PUBLIC_URL": "https://ml.example.com/retrain"},
    "told": {"API_TRUSTED_PROXIES": "127.0.0.1", "API_FOLLOWERS_PER_PEER": "1"},
}


def proxy(name: str, folder: Path, api: ApiServer) -> AbstractContextManager[str]:
    """A proxy before the API, by the block of that name in the documentation."""
    [block] = re.findall(BLOCK.format(name=name), PAGE.read_text(), re.DOTALL)
    assert block.count("127.0.0.1:5005") == 1
    block = block.replace("127.0.0.1:5005", f"127.0.0.1:{api.port}")
    return running_nginx(folder, block) if name == "nginx" else running_caddy_like(block)


@pytest.fixture(scope="module", params=WAYS_TO_KNOW)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    folder = tmp_path_factory.mktemp("api")
    with running_api(folder, REDIS_URL=redis, API_TOKENS=TOKEN, **WAYS_TO_KNOW[request.param]) as server:
        yield server


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def outside(request: pytest.FixtureRequest, api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address by which people reach the API, without the path."""
    with proxy(request.param, tmp_path_factory.mktemp("proxy"), api) as address:
        yield address


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


def ask(method: str, url: str, **given: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", **given.pop("headers", {})}
    answer = requests.request(method, url, headers=headers, timeout=TIMEOUT_SECONDS, **given)
    answer.raise_for_status()
    return answer


def test_every_link_in_an_answer_leads_back_through_the_proxy(outside: str) -> None:
    accepted = ask("POST", f"{outside}/retrain/retrain", json=BODY)
    job = ask("GET", f"{outside}{accepted.headers['Location']}").json()
    assert job["id"] == accepted.json()["id"]
    assert ask("GET", f"{outside}{job['links']['self']}").json()["id"] == job["id"]
    assert ask("GET", f"{outside}{job['links']['logs']}").text == ""
    ask("POST", f"{outside}/retrain/retrain", json=BODY)
    first = ask("GET", f"{outside}/retrain/jobs?limit=1")
    assert first.links["next"]["url"] == first.json()["next"]
    assert ask("GET", f"{outside}{first.json()['next']}").json()["jobs"]


@pytest.mark.parametrize(
    ("start", "lands"),
    [
        ("/retrain", "ui/sign-in"),
        ("/retrain/", "ui/sign-in"),
        ("/retrain/docs", "docs"),
        ("/retrain/docs/", "docs"),
        ("/retrain/ui/jobs", "ui/sign-in"),
    ],
)
def test_pages_and_documentation_find_their_files_through_the_proxy(outside: str, start: str, lands: str) -> None:
    page = requests.get(f"{outside}{start}", headers={"Accept": "text/html"}, timeout=TIMEOUT_SECONDS)
    assert page.url.partition("?")[0] == f"{outside}/retrain/{lands}"
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        requests.get(requests.compat.urljoin(page.url, name), timeout=TIMEOUT_SECONDS).raise_for_status()
    described = requests.get(f"{outside}/retrain/openapi.json", timeout=TIMEOUT_SECONDS).json()
    assert described["servers"] == [{"url": "/retrain"}]


def test_a_person_signs_in_through_the_proxy_and_the_page_is_told_of_changes(outside: str, store: SqlStore) -> None:
    with requests.Session() as browser:
        page = browser.get(f"{outside}/retrain/ui/jobs", timeout=TIMEOUT_SECONDS)
        form = dict(re.findall(r'name="(csrf|next)" value="([^"]+)"', page.text))
        page = browser.post(page.url.partition("?")[0], data={**form, "token": TOKEN}, timeout=TIMEOUT_SECONDS)
        assert page.url == f"{outside}/retrain/ui/jobs"
        with browser.get(f"{outside}/retrain/ui/live?of=jobs", stream=True, timeout=TIMEOUT_SECONDS) as answer:
            lines = lines_of(answer.iter_content(None))
            assert any(line == b"event: begin" for line in lines)
            running(store)
            assert any(line == b"data: jobs" for line in lines)


def test_a_followed_log_comes_through_the_proxy_as_it_is_written(outside: str, store: SqlStore) -> None:
    claim = running(store)
    url = f"{outside}/retrain/jobs/{claim.job.id}/logs"
    with ask_stream(url) as answer:
        events = read_events(lines_of(answer.iter_content(None)))
        store.append_log(claim, b"first\n", source_offset=0)
        assert next(events).data == "first"  # while nothing else has been written
        store.append_log(claim, b"second\n", source_offset=6)
        assert next(events).data == "second"
        store.finish(claim, Ending(JobState.SUCCEEDED))
        assert next(events).name == "end"


def ask_stream(url: str) -> requests.Response:
    return ask("GET", url, headers={"Accept": "text/event-stream"}, stream=True)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_command_line_takes_an_address_with_a_path(
    outside: str, slash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETRAIN_TOKEN", TOKEN)
    retrain = RetrainCommand(f"{outside}/retrain{slash}")
    job_id = retrain.new_job(**BODY)
    assert job_id in retrain("list", "--json").stdout
    assert "cancelled" in retrain("cancel", job_id).output


def test_metrics_and_health_are_below_the_path(outside: str) -> None:
    assert "retrain_http_request_duration_seconds" in ask("GET", f"{outside}/retrain/metrics").text
    assert requests.get(f"{outside}/retrain/healthz", timeout=TIMEOUT_SECONDS).ok


def test_what_a_client_says_of_the_path_is_not_passed_on(outside: str) -> None:
    accepted = ask("POST", f"{outside}/retrain/retrain", json=BODY, headers={"X-Forwarded-Prefix": "/elsewhere"})
    assert accepted.headers["Location"].startswith("/retrain/jobs/")
