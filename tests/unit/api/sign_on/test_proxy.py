"""A trusted proxy says who a person is; from everybody else its header says nothing."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from api.access.authentication import require_tokens_on_public_address
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, MakeApp

PROXY, ELSEWHERE = "10.1.2.3", "10.9.9.9"
HEADER, GROUPS = "X-Auth-Request-Email", "X-Auth-Request-Groups"
SETTINGS = {
    "auth_header": HEADER,
    "auth_groups_header": GROUPS,
    "api_trusted_proxies": "10.1.2.0/24",
    "auth_roles": "ml-team=submitter,ml-leads=approver,ml-ops=admin",
}
ANN = {HEADER: "ann@example.com"}


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app(**SETTINGS, api_tokens="t").test_client()


def ask(client: FlaskClient, headers: dict[str, str], peer: str = PROXY, path: str = "/whoami") -> dict[str, Any]:
    answer = client.get(path, headers=headers, environ_base={"REMOTE_ADDR": peer})
    return {"status": answer.status_code, **(answer.json or {})}


def test_who_has_signed_in_at_the_proxy_is_known_by_that_name(client: FlaskClient) -> None:
    said = ask(client, {**ANN, GROUPS: "chess, ml-team,ml-leads"})
    assert (said["name"], said["kind"], said["team"]) == ("sso:ann@example.com", "proxy", None)
    assert said["roles"] == ["approver", "submitter"]
    assert ask(client, ANN)["roles"] == ["viewer"]


@pytest.mark.parametrize("peer", [ELSEWHERE, "127.0.0.1", "::1", "", "10.1.2.3, 10.9.9.9"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"X-Forwarded-For": PROXY},
        {"X-Forwarded-For": f"{PROXY}, {PROXY}"},
        {"Forwarded": f"for={PROXY}"},
        {"X-Real-Ip": PROXY},
        {"Remote-Addr": PROXY},
        {"retrain.came_from_trusted_proxy": "true"},
    ],
    ids=str,
)
def test_the_header_from_elsewhere_names_nobody(client: FlaskClient, peer: str, more: dict[str, str]) -> None:
    said = ask(client, {**ANN, GROUPS: "ml-ops", **more}, peer)
    assert (said["status"], said["code"]) == (401, "UNAUTHORIZED")
    assert "API_TRUSTED_PROXIES" in said["detail"]


def test_a_person_behind_the_proxy_is_not_the_peer(client: FlaskClient) -> None:
    """The proxy says whose request it is, and that address may not be a trusted one."""
    assert ask(client, {**ANN, "X-Forwarded-For": "203.0.113.9"})["name"] == "sso:ann@example.com"


def test_from_elsewhere_a_token_opens_as_ever_and_the_header_changes_nothing(client: FlaskClient) -> None:
    assert ask(client, {**ANN, "Authorization": "Bearer t"}, ELSEWHERE)["name"] == "env-1"


def test_a_token_that_is_sent_through_the_proxy_counts_more_than_who_sent_it(client: FlaskClient) -> None:
    assert ask(client, {**ANN, "Authorization": "Bearer t"})["name"] == "env-1"
    assert ask(client, {**ANN, "Authorization": "Bearer wrong"})["status"] == 401


def test_the_proxys_own_signed_token_beside_the_header_is_no_matter(client: FlaskClient) -> None:
    assert (
        ask(client, {**ANN, "Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"})["name"] == "sso:ann@example.com"
    )


@pytest.mark.parametrize("name", ["ann, root", "ann root", "<b>", "ann\x1b[2J", "ä", "-ann", "a" * 201, '"ann"'])
def test_what_is_no_name_opens_nothing(client: FlaskClient, name: str) -> None:
    assert ask(client, {HEADER: name})["status"] == 401


@pytest.mark.parametrize("name", ["", " "])
def test_without_a_name_the_proxy_is_nobody_even_on_this_machine(make_app: MakeApp, name: str) -> None:
    """A proxy on this machine would else be its administrator for whoever has not signed in."""
    client = make_app(**{**SETTINGS, "api_trusted_proxies": "127.0.0.1"}).test_client()
    assert ask(client, {HEADER: name}, "127.0.0.1")["status"] == 401
    assert ask(client, {}, "127.0.0.1")["status"] == 401
    assert ask(client, ANN, "127.0.0.1")["name"] == "sso:ann@example.com"


def test_a_header_that_is_sent_twice_opens_nothing(client: FlaskClient) -> None:
    twice = [(HEADER, "ann@example.com"), (HEADER, "root@example.com")]
    answer = client.get("/whoami", headers=twice, environ_base={"REMOTE_ADDR": PROXY})
    assert answer.status_code == 401


def test_a_web_page_of_another_origin_changes_nothing_with_the_cookie_of_the_proxy(client: FlaskClient) -> None:
    headers = {**ANN, GROUPS: "ml-ops", "Origin": "https://evil.example"}
    answer = client.post("/retrain", json=BODY, headers=headers, environ_base={"REMOTE_ADDR": PROXY})
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "FOREIGN_ORIGIN")


@pytest.mark.parametrize(
    ("groups", "team"),
    [("ml-vision", "vision"), ("ml-text,ml-vision", "vision"), ("ml-text", "text"), ("ml-all", None), ("ml-ops", None)],
)
def test_the_first_group_with_a_team_says_which(make_app: MakeApp, groups: str, team: str | None) -> None:
    client = make_app(**SETTINGS, auth_teams="ml-vision=vision,ml-text=text,ml-all=*").test_client()
    assert ask(client, {**ANN, GROUPS: groups})["team"] == team


def test_with_teams_nobody_without_one_gets_in(make_app: MakeApp) -> None:
    client = make_app(**SETTINGS, auth_teams="ml-vision=vision").test_client()
    assert (ask(client, ANN)["status"], ask(client, {**ANN, GROUPS: "ml-team"})["code"]) == (403, "FORBIDDEN")
    everybody = make_app(**SETTINGS, auth_teams="ml-vision=vision,*=guests").test_client()
    assert ask(everybody, ANN)["team"] == "guests"


def test_without_a_default_role_strangers_may_do_nothing(make_app: MakeApp) -> None:
    client = make_app(**SETTINGS, auth_default_role="none").test_client()
    assert ask(client, ANN, path="/jobs")["code"] == "FORBIDDEN"
    assert ask(client, {**ANN, GROUPS: "ml-team"}, path="/jobs")["status"] == 200
    everybody = make_app(**{**SETTINGS, "auth_roles": "*=operator"}).test_client()
    assert ask(everybody, ANN)["roles"] == ["operator"]


def test_a_public_address_is_served_with_a_sign_on_alone(store: MemoryStore) -> None:
    require_tokens_on_public_address(Settings.load(_env_file=None, api_host="0.0.0.0", **SETTINGS), store)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ({"auth_header": HEADER}, "AUTH_HEADER needs API_TRUSTED_PROXIES"),
        ({"oidc_issuer": "https://login.example.com"}, "OIDC_ISSUER needs OIDC_AUDIENCE"),
        ({"oidc_issuer": "http://login.example.com"}, "OIDC_ISSUER: .*https://"),
        ({"oidc_issuer": "https://u:p@login.example.com"}, "OIDC_ISSUER: .*https://"),
        ({"oidc_issuer": "http://127.0.0.1.example.com"}, "OIDC_ISSUER: .*https://"),
        ({"auth_header": "Authorization"}, "AUTH_HEADER: .*X-Auth-Request-Email"),
        ({"auth_header": "X Y"}, "AUTH_HEADER: "),
        ({"auth_roles": "ml=root"}, "AUTH_ROLES: .*group=WORD.*viewer.*not ml=root"),
        ({"auth_roles": "submitter"}, "AUTH_ROLES: "),
        ({"auth_teams": "ml=Vision 1"}, "AUTH_TEAMS: .*a team"),
        ({"auth_default_role": "root"}, "AUTH_DEFAULT_ROLE: "),
    ],
    ids=str,
)
def test_half_a_sign_on_stops_the_start(given: dict[str, str], advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        Settings.load(_env_file=None, **given)
