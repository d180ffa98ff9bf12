"""Links, paging and the documentation below a path that a proxy puts before the API's own."""

from typing import Any

import pytest
from flask import request
from flask.testing import FlaskClient

from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, MakeApp

PUBLIC = "https://ml.example.com/retrain"
TOKEN = {"Authorization": "Bearer t"}
TOLD = {"X-Forwarded-Prefix": "/tools/retrain"}


@pytest.fixture
def public(make_app: MakeApp) -> FlaskClient:
    return make_app(api_public_url=f"{PUBLIC}/").test_client()


@pytest.fixture
def proxied(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens="t", api_trusted_proxies="10.1.2.0/24,::1").test_client()


def ask(client: FlaskClient, method: str, path: str, *, peer: str = "10.1.2.3", **given: Any) -> Any:
    headers = {**TOKEN, **given.pop("headers", {})}
    return client.open(path, method=method, headers=headers, environ_base={"REMOTE_ADDR": peer}, **given)


def test_all_links_of_a_job_hold_the_path_of_the_public_address(public: FlaskClient) -> None:
    answer = public.post("/retrain", json=BODY)
    job: Any = answer.json
    assert answer.headers["Location"] == f"/retrain/jobs/{job['id']}"
    assert (job["links"]["self"], job["links"]["logs"]) == (
        f"/retrain/jobs/{job['id']}",
        f"/retrain/jobs/{job['id']}/logs",
    )
    assert public.get(answer.headers["Location"]).json["id"] == job["id"]  # type: ignore[index]


def test_pages_of_jobs_lead_to_the_next_one_below_the_path(public: FlaskClient) -> None:
    ids = {public.post("/retrain", json=BODY).json["id"] for _ in range(3)}  # type: ignore[index]
    seen, path = set(), "/retrain/jobs?limit=1"
    while path:
        answer = public.get(path)
        page: Any = answer.json
        seen |= {job["id"] for job in page["jobs"]}
        path = page["next"]
        assert path is None or (path.startswith("/retrain/jobs?") and f"<{path}>" in answer.headers["Link"])
    assert seen == ids


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/retrain", 202),  # the proxy took the path off
        ("POST", "/retrain/", 202),
        ("POST", "/retrain/retrain", 202),  # or left it on
        ("GET", "/retrain/jobs", 200),
        ("GET", "/jobs", 200),
        ("GET", "/retrain/metrics", 200),
        ("GET", "/retrain/healthz", 200),
        ("GET", "/retrain", 200),
        ("GET", "/retrain/", 200),
        ("GET", "/", 200),
        ("GET", "/retrain/nothing", 404),
        ("GET", "/retraining/jobs", 404),
        ("GET", "/retrain/retrain/jobs", 404),
        ("DELETE", "/retrain/jobs", 405),
    ],
)
def test_a_path_may_come_with_the_public_addresss_path_or_without(
    public: FlaskClient, method: str, path: str, status: int
) -> None:
    assert public.open(path, method=method, json=BODY if method == "POST" else None).status_code == status


@pytest.mark.parametrize("path", ["/", "/retrain/", "/retrain"])
def test_the_start_page_leads_to_the_pages_and_the_documentation_below_the_path(public: FlaskClient, path: str) -> None:
    assert public.get(path, headers={"Accept": "text/html,*/*;q=0.8"}).headers["Location"] == "/retrain/ui/"
    assert public.get(path).json["documentation"] == "/retrain/docs"  # type: ignore[index]


def test_the_documentation_asks_for_its_files_beside_itself(public: FlaskClient) -> None:
    page = public.get("/docs").text
    assert 'href="docs/swagger/swagger-ui.css"' in page
    assert 'src="/' not in page
    assert '"openapi.json"' in public.get("/docs/start.js").text
    assert public.get("/docs/").headers["Location"] == "../docs"


def test_the_openapi_document_says_below_which_path_its_paths_are(public: FlaskClient, client: FlaskClient) -> None:
    assert public.get("/openapi.json").json["servers"] == [{"url": "/retrain"}]  # type: ignore[index]
    assert "servers" not in client.get("/openapi.json").json  # type: ignore[operator]


@pytest.mark.parametrize("peer", ["10.1.2.3", "::1", "::ffff:10.1.2.3"])
def test_a_trusted_proxy_says_the_path(proxied: FlaskClient, peer: str) -> None:
    answer = ask(proxied, "POST", "/retrain", peer=peer, json=BODY, headers=TOLD)
    assert answer.headers["Location"] == f"/tools/retrain/jobs/{answer.json['id']}"


def test_nobody_else_does(proxied: FlaskClient) -> None:
    answer = ask(proxied, "POST", "/retrain", peer="10.1.3.3", json=BODY, headers=TOLD)
    assert answer.headers["Location"] == f"/jobs/{answer.json['id']}"


def test_what_a_trusted_proxy_says_counts_more_than_the_public_address(make_app: MakeApp) -> None:
    client = make_app(api_tokens="t", api_trusted_proxies="10.1.2.3", api_public_url=PUBLIC).test_client()
    answer = ask(client, "POST", "/retrain", json=BODY, headers=TOLD)
    assert answer.headers["Location"].startswith("/tools/retrain/jobs/")


@pytest.mark.parametrize("told", ["//evil.example", "https://evil.example", "/a b", "/a?b", "/\\evil.example", "/"])
def test_a_path_that_leads_elsewhere_is_never_put_before_a_link(proxied: FlaskClient, told: str) -> None:
    answer = ask(proxied, "POST", "/retrain", json=BODY, headers={"X-Forwarded-Prefix": told})
    assert answer.headers["Location"].startswith(("/jobs/", "/evil.example/jobs/"))


def test_a_page_at_the_proxys_address_is_one_of_ours_where_a_trusted_proxy_says_the_host(proxied: FlaskClient) -> None:
    told = {"X-Forwarded-Host": "ml.example.com", "X-Forwarded-Proto": "https", "Origin": "https://ml.example.com"}
    assert ask(proxied, "POST", "/jobs/x/cancel", headers=told).status_code == 404
    assert ask(proxied, "POST", "/jobs/x/cancel", peer="10.1.3.3", headers=told).status_code == 403


@pytest.mark.parametrize(("peer", "seen"), [("10.1.2.3", "192.0.2.7"), ("10.1.3.3", "10.1.3.3")])
def test_a_trusted_proxy_says_whose_request_it_is(make_app: MakeApp, peer: str, seen: str) -> None:
    app = make_app(api_tokens="t", api_trusted_proxies="10.1.2.0/24")
    app.after_request(lambda answer: (answer.headers.set("X-Seen", request.remote_addr), answer)[1])
    answer = ask(app.test_client(), "GET", "/jobs", peer=peer, headers={"X-Forwarded-For": "1.2.3.4, 192.0.2.7"})
    assert answer.headers["X-Seen"] == seen


def test_without_tokens_what_a_trusted_proxy_passes_on_is_refused_as_ever(make_app: MakeApp) -> None:
    client = make_app(api_trusted_proxies="127.0.0.1").test_client()
    assert client.get("/jobs", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    assert client.get("/jobs", headers=TOLD).status_code == 403


@pytest.mark.parametrize("path", ["/jobs", "/retrain/jobs", "/retrain/metrics", "/retrain/docs/../jobs"])
def test_the_path_opens_nothing_that_takes_a_token(make_app: MakeApp, path: str) -> None:
    client = make_app(api_tokens="t", api_public_url=PUBLIC).test_client()
    assert client.get(path).status_code in (401, 404)
    assert client.get("/retrain/docs").status_code == 200


def test_alerts_link_to_the_job_below_the_public_path(public: FlaskClient, store: MemoryStore) -> None:
    job = store.get(public.post("/retrain", json=BODY).json["id"])  # type: ignore[index]
    assert public.application.extensions["retrain"].links.job_page(job) == f"{PUBLIC}/ui/jobs/{job.id}"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ml.example.com/retrain", "with its scheme"),
        ("https://", "with its scheme"),
        ("https://ml.example.com:port", "with its scheme"),
        ("https://[::1", "with its scheme"),
        ("https://user@ml.example.com", "without a user"),
        ("https://ml.example.com/?a=b", "without a user"),
        ("https://ml.example.com/my tools", "take it out"),
        (" https://ml.example.com", "take it out"),
        ("https://ml.example.com/a\nb", "take it out"),
        ("https://ml.example.com/a*b", "other characters"),
        ("https://ml.example.com//elsewhere.example/x//y", "other characters"),
    ],
)
def test_a_public_address_that_is_none_stops_the_start(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=f"API_PUBLIC_URL: .*{what}"):
        Settings.load(_env_file=None, api_public_url=url)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("localhost", "such as 127.0.0.1,10.1.2.0/24; localhost is neither"),
        ("127.0.0.1 10.1.2.3", "comma separated"),
        ("::1,10.1.2.3/24", "write 10.1.2.0/24 for the network"),
    ],
)
def test_a_trusted_proxy_that_is_no_address_stops_the_start_with_how_to_write_one(given: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=f"API_TRUSTED_PROXIES: .*{advice}"):
        Settings.load(_env_file=None, api_trusted_proxies=given)
