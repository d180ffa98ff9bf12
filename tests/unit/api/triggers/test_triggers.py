"""Triggers are written, read, changed and deleted; their credentials are kept and never shown."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from shared.access.roles import Role
from shared.jobs.triggers import Kind, NewTrigger
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.api.access.callers import sent_by
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, MakeApp

TOKEN = "ghp_0123456789abcdef"
PRIVATE = f"https://{TOKEN}@github.com/user/iris.git"
DATA = "https://data.example.org/team/iris.git@main"
ANY_FOLDER = Path(__file__).parent
NIGHTLY = {"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}


def added(client: FlaskClient, **changes: Any) -> dict[str, Any]:
    """Add a trigger, expect that it is taken, and return it."""
    answer = client.post("/triggers", json={**NIGHTLY, **changes})
    assert answer.status_code == 201, answer.text
    trigger: dict[str, Any] = answer.json or {}
    return trigger


def changed(client: FlaskClient, version: int | None = None, **changes: Any) -> dict[str, Any]:
    """Change it likewise."""
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    body = {name: value for name, value in {**NIGHTLY, **changes}.items() if name != "name"}
    answer = client.put("/triggers/nightly", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    trigger: dict[str, Any] = answer.json or {}
    return trigger


def refused(client: FlaskClient, **changes: Any) -> tuple[str, str]:
    """Add a trigger, expect a refusal at one place, and return that with its message."""
    answer = client.post("/triggers", json={**NIGHTLY, **changes})
    assert answer.status_code == 422, answer.text
    assert TOKEN not in answer.text
    [error] = (answer.json or {})["errors"]
    return error["pointer"], error["message"]


def users_in(vault: Vault, store: MemoryStore) -> tuple[str | None, str | None]:
    """The tokens that are kept for source and dataset."""
    kept = vault.open(store.secret_of_trigger("nightly"))
    source, dataset = kept.source, kept.dataset
    return (source.username if source else None, dataset.username if dataset else None)


def test_a_trigger_is_answered_with_its_address_and_what_comes_next(client: FlaskClient) -> None:
    answer = client.post("/triggers", json={**NIGHTLY, "policy": {"cooldown": 60, "window": {"days": ["sat", "mon"]}}})
    assert (answer.status_code, answer.headers["Location"], answer.headers["ETag"]) == (201, "/triggers/nightly", '"1"')
    trigger = client.get("/triggers/nightly").json or {}
    assert (trigger["state"], trigger["kind"], trigger["template"]) == ("active", "cron", BODY)
    assert trigger["policy"] == {"cooldown": 60, "window": {"days": ["mon", "sat"]}}
    assert [at[10:] for at in trigger["next_at"]] == ["T02:30:00.000Z"] * 5
    assert [each["name"] for each in (client.get("/triggers").json or {})["triggers"]] == ["nightly"]


def test_a_name_is_taken_once(client: FlaskClient) -> None:
    added(client)
    answer = client.post("/triggers", json=NIGHTLY)
    assert (answer.status_code, (answer.json or {})["code"]) == (409, "TRIGGER_EXISTS")


@pytest.mark.parametrize(
    ("changes", "pointer", "said"),
    [
        ({"name": "a b"}, "/name", "name"),
        ({"template": {**BODY, "git_url": "x"}}, "/template/git_url", "did you mean git_uri?"),
        ({"template": {"experiment_name": "iris"}}, "/template/git_uri", "is required"),
        ({"template": {**BODY, "git_uri": "file:///srv/x.git"}}, "/template/git_uri", "GIT_SCHEMES"),
        ({"template": {**BODY, "alerts": {"to": ["nobody"]}}}, "/template/alerts/to", "no alert channel"),
        ({"template": {**BODY, "dataset_uri": f"https://h/a@b/{TOKEN}@c"}}, "/template/dataset_uri", "has an '@'"),
        ({"template": {**BODY, "resources": {"cpus": 9.0}}}, "/template/resources/cpus", "ATTEMPT_CPUS_MOST"),
        ({"when": {}}, "/when", "exactly one of"),
        ({"when": {"cron": "* * *"}}, "/when/cron", "is not a cron expression"),
        ({"when": {"cron": "* * * * *", "time_zone": "Mars"}}, "/when/time_zone", "is not a time zone"),
        ({"when": {"every": 60, "cron": "* * * * *"}}, "/when", "has cron and every"),
        ({"policy": {"cooldwon": 1}}, "/policy/cooldwon", "did you mean cooldown?"),
        ({"policy": {"window": {"hours": "22-6"}}}, "/policy/window/hours", "is not a span of hours"),
        ({"secret": "0123456789abcdef"}, "/secret", "nothing is sent to cron"),
        ({"when": {"signal": {}}, "secret": "short"}, "/secret", "at least 16"),
        ({"when": {"dataset": {}}}, "/when/dataset/address", "no dataset_repo"),
        ({"when": {"dataset": {"address": PRIVATE}}}, "/when/dataset/address", "leave it out"),
        ({"when": {"dataset": {"address": "iris"}}}, "/when/dataset/address", "is a name"),
        ({"when": {"dataset": {"address": f"https://h/a.git@{'a' * 40}"}}}, "/when/dataset/address", "never changes"),
        ({"template": {**BODY, "dataset_repo": "iris"}, "when": {"dataset": {}}}, "/when/dataset/address", "is a name"),
        ({"when": {"job": {"trigger": "nightly"}}}, "/when/job", "nightly → nightly"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(
    make_app: MakeApp, changes: Mapping[str, Any], pointer: str, said: str
) -> None:
    place, message = refused(make_app(attempt_cpus_most=8.0).test_client(), **changes)
    assert place == pointer
    assert said in message


def test_credentials_are_kept_encrypted_and_shown_nowhere(
    client: FlaskClient, store: MemoryStore, vault: Vault
) -> None:
    trigger = added(client, template={**BODY, "git_uri": PRIVATE})
    assert trigger["has_credentials"]
    assert TOKEN not in client.get("/triggers/nightly").text + client.get("/triggers").text
    sealed = store.secret_of_trigger("nightly")
    assert TOKEN.encode() not in (sealed or b"")
    assert users_in(vault, store) == (TOKEN, None)


def test_credentials_stay_with_their_address_and_no_other(
    client: FlaskClient, store: MemoryStore, vault: Vault
) -> None:
    private_data = DATA.replace("://", f"://{TOKEN}@")
    added(client, template={**BODY, "git_uri": PRIVATE, "dataset_repo": private_data})
    changed(client, template={**BODY, "dataset_repo": DATA}, policy={"cooldown": 1})
    assert users_in(vault, store) == (TOKEN, TOKEN)
    changed(client, template={**BODY, "dataset_repo": DATA.replace("data.", "evil.")})
    assert users_in(vault, store) == (TOKEN, None)
    moved = changed(client, template={**BODY, "git_uri": "https://evil.example/user/iris.git"})
    assert (moved["has_credentials"], store.secret_of_trigger("nightly")) == (False, None)


def test_new_credentials_replace_the_old_ones(client: FlaskClient, store: MemoryStore, vault: Vault) -> None:
    added(client, template={**BODY, "git_uri": PRIVATE})
    assert changed(client, template={**BODY, "git_uri": PRIVATE.replace("ghp_0", "ghp_9")})["version"] == 2
    assert users_in(vault, store) == (TOKEN.replace("ghp_0", "ghp_9"), None)


def test_after_a_change_of_the_key_everything_can_be_sent_again(
    client: FlaskClient, store: MemoryStore, queue: RecordingQueue, tmp_path: Path
) -> None:
    signalled: dict[str, Any] = {"when": {"signal": {}}, "secret": "of-the-senders-own"}
    added(client, template={**BODY, "git_uri": PRIVATE}, **signalled)
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=())
    vault = Vault(Fernet.generate_key())
    client = create_app(settings, store=store, queue=queue, vault=vault).test_client()
    assert client.get("/triggers/nightly").status_code == 200
    answer = client.put("/triggers/nightly", json={**_change(), "when": {"signal": {}}})
    assert (answer.status_code, (answer.json or {})["code"]) == (422, "CREDENTIALS_NEEDED")
    assert changed(client, template={**BODY, "git_uri": PRIVATE}, **signalled)["version"] == 2
    assert users_in(vault, store) == (TOKEN, None)


def test_a_change_for_another_version_is_refused_and_the_same_again_is_none(client: FlaskClient) -> None:
    added(client)
    assert changed(client, version=1)["version"] == 1
    assert changed(client, version=1, policy={"cooldown": 1})["version"] == 2
    answer = client.put("/triggers/nightly", json={**_change(), "policy": {}}, headers={"If-Match": '"1"'})
    assert (answer.status_code, (answer.json or {})["code"]) == (412, "TRIGGER_CHANGED")


def test_a_secret_is_made_and_answered_once(client: FlaskClient) -> None:
    made = added(client, when={"signal": {}})["secret"]
    assert len(made) >= 32
    assert made not in client.get("/triggers/nightly").text
    assert changed(client, when={"signal": {"metric": "drift"}})["secret"] is None
    assert changed(client, when={"signal": {}}, secret="of-the-senders-own")["secret"] is None
    assert "of-the-senders-own" not in client.get("/triggers/nightly").text


def test_a_trigger_that_becomes_one_of_senders_gets_a_secret(client: FlaskClient) -> None:
    assert added(client)["secret"] is None
    assert changed(client, when={"signal": {}})["secret"]


def test_a_wish_for_no_gpu_outlives_the_operators_default(make_app: MakeApp) -> None:
    client = make_app(default_gpus=1).test_client()
    added(client, template={**BODY, "resources": {"gpus": 0}})
    added(client, name="other")
    used = [
        (client.post(f"/triggers/{name}/fire").json or {})["request"]["resources"]["gpus"]
        for name in ("nightly", "other")
    ]
    assert used == [0, 1]


def test_a_check_tells_what_would_change_and_changes_nothing(client: FlaskClient) -> None:
    check = partial(client.post, "/triggers/check")
    assert (check(json=NIGHTLY).json or {})["action"] == "create"
    added(client)
    assert (check(json=NIGHTLY).json or {})["action"] == "nothing"
    plan = check(json={**NIGHTLY, "when": {"every": 60}, "template": {**BODY, "git_uri": PRIVATE}}).json or {}
    assert plan["action"] == "change"
    assert plan["differences"] == [
        {"field": "/when/cron", "before": "30 2 * * *", "after": None},
        {"field": "/when/every", "before": None, "after": 60},
        {"field": "/template's credentials", "before": "…", "after": "…"},
    ]
    assert (client.get("/triggers/nightly").json or {})["version"] == 1


def test_a_deleted_trigger_is_gone_and_its_jobs_stay(client: FlaskClient) -> None:
    added(client)
    job = (client.post("/triggers/nightly/fire").json or {})["id"]
    assert client.delete("/triggers/nightly").status_code == 204
    assert client.get("/triggers/nightly").status_code == 404
    assert (client.get(f"/jobs/{job}").json or {})["state"] == "queued"


def test_only_its_file_changes_a_trigger_of_a_file(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(triggers_dir=ANY_FOLDER).test_client()
    _make_one_of_a_file(store)
    for ask in (client.put("/triggers/nightly", json=_change()), client.delete("/triggers/nightly")):
        assert (ask.status_code, (ask.json or {})["code"]) == (409, "TRIGGER_OF_FILE")
        assert "nightly.yaml" in ask.text
    assert client.post("/triggers/nightly/pause").status_code == 200
    assert client.post("/triggers/nightly/fire").status_code == 202


def _change() -> dict[str, Any]:
    return {name: value for name, value in NIGHTLY.items() if name != "name"}


def _make_one_of_a_file(store: MemoryStore) -> None:
    when, kind = {"cron": "30 2 * * *"}, Kind.CRON
    new = NewTrigger(name="nightly", template=BODY, when=when, policy={}, kind=kind, source="nightly.yaml")
    store.create_trigger(new)


def _post(api: Api) -> Asking:
    def again() -> Any:
        client = api.client()
        client.post("/triggers", json=NIGHTLY)
        return client.post("/triggers", json=NIGHTLY)

    return Asking("/triggers", NIGHTLY, others={"409": again})


def _get(api: Api) -> Asking:
    api.client().post("/triggers", json=NIGHTLY)
    return Asking("/triggers/nightly", others={"404": lambda: api.client().get("/triggers/gone")})


def _put(api: Api) -> Asking:
    put = partial(api.client(triggers_dir=ANY_FOLDER).put, "/triggers/nightly", json=_change())

    def of_file() -> Any:
        api.store.delete_trigger("nightly")
        _make_one_of_a_file(api.store)
        return put()

    others = {
        "404": lambda: api.client().put("/triggers/gone", json=_change()),
        "409": of_file,
        "412": lambda: put(headers={"If-Match": '"7"'}),
    }
    api.client().post("/triggers", json=NIGHTLY)
    return Asking("/triggers/nightly", _change(), others=others)


def _delete(api: Api) -> Asking:
    def of_file() -> Any:
        api.store.delete_trigger("nightly")
        _make_one_of_a_file(api.store)
        return api.client(triggers_dir=ANY_FOLDER).delete("/triggers/nightly")

    asking = _get(api)
    return Asking(asking.path, others={"404": lambda: api.client().delete("/triggers/gone"), "409": of_file})


def _check(api: Api) -> Asking:
    def of_another_team() -> TestResponse:
        api.client().post("/triggers", json=NIGHTLY)
        headers = sent_by(api.store, "ann", Role.SUBMITTER, team="vision")
        return api.client(teams_isolated=True).post("/triggers/check", json=NIGHTLY, headers=headers)

    return Asking("/triggers/check", NIGHTLY, others={"409": of_another_team})


DOCUMENTED: Documented = {
    "POST /triggers": _post,
    "POST /triggers/check": _check,
    "GET /triggers/<name>": _get,
    "PUT /triggers/<name>": _put,
    "DELETE /triggers/<name>": _delete,
}


def test_triggers_that_would_start_each_other_are_refused_when_the_circle_is_closed(client: FlaskClient) -> None:
    added(client, name="weekly", when={"job": {"trigger": "nightly"}})
    place, message = refused(client, when={"job": {"trigger": "weekly"}})
    assert (place, message.rpartition(": ")[2]) == ("/when/job", "nightly → weekly → nightly")
    added(client)
    answer = client.put("/triggers/nightly", json={"template": BODY, "when": {"job": {"trigger": "weekly"}}})
    assert answer.status_code == 422
