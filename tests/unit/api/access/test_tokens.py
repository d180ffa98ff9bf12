"""Administrators make tokens for others; each is shown once, and opens what its roles allow until it is revoked."""

from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.access.roles import Role
from shared.access.tokens import TOKEN, hash_of
from shared.secrets.redactor import Redactor
from tests.fakes.store import MemoryStore
from tests.support.log_lines import Log
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, MakeApp

CI = {"name": "ci", "roles": ["submitter"]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def created(client: FlaskClient, **fields: Any) -> str:
    answer = client.post("/tokens", json={**CI, **fields})
    assert answer.status_code == 201, answer.text
    token: str = (answer.json or {})["token"]
    return token


def said(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {})["code"]


def test_the_first_token_is_made_by_a_program_on_this_machine(client: FlaskClient) -> None:
    answer = client.post("/tokens", json={**CI, "team": "vision", "expires_in_days": 90})
    body = answer.json or {}
    assert TOKEN.match(body.pop("token"))
    assert answer.headers["Cache-Control"] == "no-store"
    assert (body["name"], body["roles"], body["team"]) == ("ci", ["submitter"], "vision")
    assert (body["state"], body["created_by"], body["used_at"]) == ("active", "local", None)
    assert client.get("/tokens/ci").json == body
    assert client.get("/tokens").json == {"tokens": [body]}


def test_the_store_and_the_log_have_no_token(client: FlaskClient, store: MemoryStore, log: Log) -> None:
    token = created(client)
    kept = store._tokens["ci"]
    assert kept.hash == hash_of(token)
    assert token not in f"{kept!r}{vars(kept)}"
    client.get("/jobs", headers=bearer(token))
    client.post("/tokens/ci/rotate")
    assert [each["message"] for each in log.objects] == ["token created", "token rotated"]
    assert token not in log.text


def test_its_holder_is_known_by_its_name(client: FlaskClient) -> None:
    token = created(client, roles=["submitter", "approver"], team="vision")
    assert client.get("/whoami", headers=bearer(token)).json == {
        "name": "ci",
        "kind": "token",
        "roles": ["approver", "submitter"],
        "team": "vision",
    }
    assert (client.get("/whoami").json or {})["name"] == "local"


def test_a_job_of_its_holder_has_its_name_and_team(client: FlaskClient, store: MemoryStore) -> None:
    token = created(client, team="vision")
    job = client.post("/retrain", json=BODY, headers=bearer(token)).json or {}
    assert (store.get(job["id"]).submitted_by, store.get(job["id"]).team) == ("ci", "vision")


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.ADMIN])
def test_only_administrators_make_or_see_tokens(client: FlaskClient, role: Role) -> None:
    headers = bearer(created(client, roles=[role]))
    asked = [
        client.post("/tokens", json={"name": "mine", "roles": ["admin"]}, headers=headers),
        client.get("/tokens", headers=headers),
        client.get("/tokens/ci", headers=headers),
        client.post("/tokens/ci/rotate", headers=headers),
        client.delete("/tokens/ci", headers=headers),
    ]
    assert {said(each) for each in asked} == {(403, "FORBIDDEN")}


@pytest.mark.parametrize("name", ["", "env-1", "env-x", "local", "nobody", "metrics", "sso:ann", "A", "-a", "a" * 64])
def test_a_name_that_others_have_is_refused(client: FlaskClient, name: str) -> None:
    assert client.post("/tokens", json={**CI, "name": name}).status_code == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"roles": []},
        {"roles": ["root"]},
        {"team": ""},
        {"team": "*"},
        {"expires_in_days": 0},
        {"expires_in_days": 1e9},
        {"expires_in_days": "nan"},
    ],
)
def test_what_no_token_may_have_is_refused(client: FlaskClient, store: MemoryStore, fields: dict[str, Any]) -> None:
    assert client.post("/tokens", json={**CI, **fields}).status_code == 422
    assert not store.list_tokens()


def test_a_name_is_given_once(client: FlaskClient) -> None:
    created(client)
    client.delete("/tokens/ci")
    assert said(client.post("/tokens", json=CI)) == (409, "TOKEN_EXISTS")


def test_a_revoked_token_opens_nothing_at_once(client: FlaskClient) -> None:
    token = created(client)
    assert client.get("/jobs", headers=bearer(token)).status_code == 200
    answer = client.delete("/tokens/ci")
    assert (answer.status_code, (answer.json or {})["state"]) == (200, "revoked")
    assert client.get("/jobs", headers=bearer(token)).status_code == 401
    assert client.delete("/tokens/ci").json == answer.json
    assert said(client.post("/tokens/ci/rotate")) == (409, "TOKEN_ENDED")


def test_a_rotated_token_has_another_secret_and_the_same_holder(client: FlaskClient) -> None:
    before = created(client, team="vision")
    client.get("/jobs", headers=bearer(before))
    answer = client.post("/tokens/ci/rotate")
    after = (answer.json or {})["token"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/jobs", headers=bearer(before)).status_code == 401
    assert (client.get("/whoami", headers=bearer(after)).json or {})["team"] == "vision"


def test_with_an_overlap_both_secrets_open(client: FlaskClient) -> None:
    before = created(client)
    after = (client.post("/tokens/ci/rotate", json={"overlap_hours": 24}).json or {})["token"]
    assert [client.get("/jobs", headers=bearer(each)).status_code for each in (before, after)] == [200, 200]


@pytest.mark.parametrize("token", ["art_" + "a" * 43, "art_", "art_" + "a" * 42 + "é", "art_" + "a" * 44])
def test_a_token_that_was_never_made_opens_nothing(make_app: MakeApp, token: str) -> None:
    client = make_app(api_tokens="t").test_client()
    assert said(client.get("/jobs", headers=bearer(token))) == (401, "UNAUTHORIZED")


def test_with_tokens_in_the_settings_those_of_the_record_open_too(make_app: MakeApp) -> None:
    client = make_app(api_tokens="t").test_client()
    token = (client.post("/tokens", json=CI, headers=bearer("t")).json or {})["token"]
    assert (client.get("/tokens/ci", headers=bearer("t")).json or {})["created_by"] == "env-1"
    away = {"REMOTE_ADDR": "10.1.2.3"}
    assert client.get("/jobs", headers=bearer(token), environ_base=away).status_code == 200


@pytest.fixture
def public(make_app: MakeApp, client: FlaskClient) -> FlaskClient:
    """A client of an API that only holders of the record's tokens reach."""
    created(client, name="first", roles=["admin"])
    return make_app(api_host="0.0.0.0").test_client()


def test_the_last_administrator_does_not_lock_everybody_out(client: FlaskClient, public: FlaskClient) -> None:
    second = created(client, name="second", roles=["admin"])
    assert public.delete("/tokens/first", headers=bearer(second)).status_code == 200
    answer = public.delete("/tokens/second", headers=bearer(second))
    assert said(answer) == (409, "LAST_ADMINISTRATOR")
    assert public.get("/whoami", headers=bearer(second)).status_code == 200


def test_other_tokens_and_those_that_opened_nothing_are_revoked_all_the_same(
    client: FlaskClient, public: FlaskClient
) -> None:
    second = created(client, name="second", roles=["admin"])
    created(client)
    public.delete("/tokens/first", headers=bearer(second))
    for name in ("ci", "first"):
        assert public.delete(f"/tokens/{name}", headers=bearer(second)).status_code == 200


def test_where_others_administer_the_last_token_may_go(client: FlaskClient, make_app: MakeApp) -> None:
    created(client, name="a", roles=["admin"])
    assert client.delete("/tokens/a").status_code == 200
    created(client, name="b", roles=["admin"])
    public = make_app(api_host="0.0.0.0", api_tokens="t").test_client()
    assert public.delete("/tokens/b", headers=bearer("t")).status_code == 200


def test_a_token_is_masked_wherever_text_goes_out(client: FlaskClient) -> None:
    token = created(client)
    assert Redactor().text(f"curl -H 'Authorization: Bearer {token}' x") == "curl -H 'Authorization: Bearer ***' x"
    assert Redactor().data(token.encode() * 2) == b"******"
    assert Redactor().text("art_of_the_deal art_" + "a" * 42) == "art_of_the_deal art_" + "a" * 42
    answer = client.get(f"/tokens/{token.lower()[:63]}")
    assert answer.status_code == 404
    assert token not in client.get(f"/jobs/{token}").text


def _post(api: Api) -> Asking:
    client = api.client()
    created(client, name="taken")
    return Asking("/tokens", CI, others={"409": lambda: client.post("/tokens", json={**CI, "name": "taken"})})


def _of_one(api: Api, *, method: str, action: str = "") -> Asking:
    client, path = api.client(), f"/tokens/ci{action}"
    created(client)

    def ended() -> TestResponse:
        client.delete("/tokens/ci")
        return client.post(path)

    def last() -> TestResponse:
        admin = created(client, name="last", roles=["admin"])
        return api.client(api_host="0.0.0.0").delete("/tokens/last", headers=bearer(admin))

    by_status = {"POST": {"409": ended}, "DELETE": {"409": last}}.get(method, {})
    others = {"404": lambda: client.open(path.replace("ci", "x"), method=method), **by_status}
    return Asking(path, others=others)


def _whoami(api: Api) -> Asking:
    token = created(api.client())

    def with_store(*, broken: bool) -> TestResponse:
        api.store.down = not broken
        if broken:
            api.monkeypatch.setattr(api.store, "find_token", lambda *_: 1 / 0)
        return api.client().get("/whoami", headers=bearer(token))

    return Asking("/whoami", others={"500": partial(with_store, broken=True), "503": partial(with_store, broken=False)})


DOCUMENTED: Documented = {
    "POST /tokens": _post,
    "GET /tokens/<name>": partial(_of_one, method="GET"),
    "POST /tokens/<name>/rotate": partial(_of_one, method="POST", action="/rotate"),
    "DELETE /tokens/<name>": partial(_of_one, method="DELETE"),
    "GET /whoami": _whoami,
}
