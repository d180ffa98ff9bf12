"""Who may use the API."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.access.authentication import require_tokens_on_public_address
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, hint_of, new_token
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.unit.conftest import MakeApp


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens="first,second").test_client()


@pytest.mark.parametrize("token", ["first", "second"])
def test_each_token_opens_the_api_from_anywhere(guarded: FlaskClient, token: str) -> None:
    answer = guarded.get("/jobs", headers=bearer(token), environ_base={"REMOTE_ADDR": "10.1.2.3"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, bearer("third"), bearer(""), bearer("first,second"), {"Authorization": "Basic Zmlyc3Q6"}, bearer("ÿ")],
)
@pytest.mark.parametrize("path", ["/jobs", "/retrain", "/nothing", "/jobs/nope", "/docsx"])
def test_without_a_known_token_nothing_is_told(guarded: FlaskClient, headers: dict[str, str], path: str) -> None:
    answer = guarded.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/docs/start.js", "/openapi.json"])
def test_health_and_documentation_are_open(guarded: FlaskClient, path: str) -> None:
    assert guarded.get(path, environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 200


def test_the_app_keeps_no_token(make_app: MakeApp) -> None:
    app = make_app(api_tokens="tok-1,tok-2")
    assert app.extensions["retrain"].settings.api_tokens == ()


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:5005", "127.0.0.1:5005", "[::1]:5005"])
def test_without_tokens_this_machine_is_served(client: FlaskClient, peer: str, host: str) -> None:
    answer = client.get("/jobs", headers={"Host": host}, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("10.1.2.3", "localhost"),
        ("::ffff:10.1.2.3", "localhost"),
        ("", "localhost"),
        ("127.0.0.1", "rebound.example.org"),
        ("127.0.0.1", "localhost.example.org:5005"),
        ("127.0.0.1", "localhost@example.org"),
        ("127.0.0.1", "[::1"),
        ("127.0.0.1", ""),
    ],
)
def test_without_tokens_nobody_else_is(client: FlaskClient, peer: str, host: str) -> None:
    answer = client.get("/jobs", headers={"Host": host}, environ_base={"REMOTE_ADDR": peer})
    assert answer.status_code == 403
    assert "API_TOKENS" in (answer.json or {})["detail"]


def settings(**given: Any) -> Settings:
    return Settings.load(_env_file=None, **given)


ADMIN = frozenset({Role.ADMIN})


def add_token(store: MemoryStore, roles: frozenset[Role] = ADMIN, name: str = "boss") -> str:
    token = new_token()
    store.create_token(NewToken(name=name, hash=hash_of(token), hint=hint_of(token), roles=roles, created_by="env-1"))
    return token


def test_a_public_address_without_tokens_is_refused_at_the_start(store: MemoryStore) -> None:
    add_token(store, frozenset({Role.OPERATOR}))
    with pytest.raises(ConfigurationError, match=r"API_HOST .*API_TOKENS .*retrain tokens create"):
        require_tokens_on_public_address(settings(api_host="0.0.0.0", api_tokens=()), store)


def test_a_public_address_with_tokens_is_served_silently(store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    require_tokens_on_public_address(settings(api_host="0.0.0.0", api_tokens="t"), store)
    add_token(store)
    require_tokens_on_public_address(settings(api_host="0.0.0.0", api_tokens=()), store)
    assert not caplog.records


def test_serving_this_machine_without_tokens_is_said_at_the_start(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    require_tokens_on_public_address(settings(api_host="127.0.0.1", api_tokens=()), store)
    [record] = caplog.records
    assert "API_TOKENS" in record.message


def test_on_a_public_address_this_machine_needs_a_token_too(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_host="0.0.0.0").test_client()
    assert client.get("/jobs").status_code == 401
    assert client.get("/jobs", headers=bearer(add_token(store))).status_code == 200


@pytest.fixture
def public(make_app: MakeApp) -> FlaskClient:
    return make_app(api_public_url="https://retrain.example.org/").test_client()


UNSAFE = ("/retrain", "/jobs/x/cancel", "/jobs/x/retry", "/workers/h/drain", "/alerts/test", "/models/m/champion")
FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:8080"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_page_of_another_origin_changes_nothing(client: FlaskClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, headers=headers)
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "FOREIGN_ORIGIN")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "ODD"])
def test_every_method_but_those_that_read_is_one_that_changes(client: FlaskClient, method: str) -> None:
    assert client.open("/jobs", method=method, headers={"Origin": "https://evil.example"}).status_code == 403


def test_a_token_does_not_make_a_foreign_page_ours(guarded: FlaskClient) -> None:
    answer = guarded.post("/jobs/x/cancel", headers={**bearer("first"), "Origin": "https://evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost:5005", "Host": "localhost:5005", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://LOCALHOST:5005", "Host": "localhost:5005"},
        {"Origin": "https://retrain.example.org", "Sec-Fetch-Site": "same-origin"},
        {"Host": "retrain.example.org"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_programs_and_pages_of_our_own_ask_for_changes(public: FlaskClient, headers: dict[str, str]) -> None:
    assert public.post("/jobs/x/cancel", headers=headers).status_code == 404


def test_a_link_on_another_page_leads_to_a_job(client: FlaskClient) -> None:
    assert client.get("/jobs", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


PROXIED = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server"),
    *("X-FORWARDED-PREFIX", "Forwarded", "Via", "X-Real-IP", "X-Original-Host"),
)


@pytest.mark.parametrize("name", PROXIED)
def test_without_tokens_what_came_through_a_proxy_is_refused(client: FlaskClient, name: str) -> None:
    answer = client.get("/jobs", headers={name: "127.0.0.1"})
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "LOOPBACK_ONLY")
    assert "Set API_TOKENS" in (answer.json or {})["detail"]
    assert name.title() in (answer.json or {})["detail"]


@pytest.mark.parametrize("name", PROXIED)
def test_with_tokens_a_proxy_may_stand_before_the_api(guarded: FlaskClient, name: str) -> None:
    assert guarded.get("/jobs", headers={**bearer("first"), name: "10.1.2.3"}).status_code == 200


@pytest.fixture
def measured(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens="first,scrape-too", metrics_tokens="scrape,scrape-too").test_client()


@pytest.mark.parametrize("token", ["scrape", "scrape-too", "first"])
def test_metrics_are_read_with_a_token_of_their_own_or_of_the_api(measured: FlaskClient, token: str) -> None:
    assert measured.get("/metrics", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("token", ["scrape", "scrape-too"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/jobs"), ("GET", "/workers"), ("POST", "/retrain"), ("POST", "/workers/h/drain"), ("POST", "/metrics")],
)
def test_a_token_for_metrics_opens_nothing_else(measured: FlaskClient, token: str, method: str, path: str) -> None:
    answer = measured.open(path, method=method, headers=bearer(token))
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "METRICS_ONLY")


def test_the_app_keeps_no_token_for_metrics(make_app: MakeApp) -> None:
    assert make_app(metrics_tokens="scrape").extensions["retrain"].settings.metrics_tokens == ()
