"""The pages of hosts: what each offers and runs, and draining one."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.errors import HostNameTaken
from shared.scheduling.hosts import Host, Machine, QueueCode
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import HOST, ClaimJob, MakeApp, Submit


def signed_in(
    make_app: MakeApp, store: MemoryStore, *roles: Role, team: str | None = None, **settings: bool
) -> FlaskClient:
    token = new_token()
    facts = {"roles": frozenset(roles), "created_by": "env-1", "team": team}
    store.create_token(NewToken(name="ann", hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
    browser = make_app(api_tokens=("an-administrator-s-word",), **settings).test_client()
    sign_in(browser, token)
    return browser


def test_without_a_host_the_page_says_how_to_start_a_worker(client: FlaskClient) -> None:
    assert "make up" in client.get("/ui/workers").text


def test_each_gpu_says_which_job_has_it(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    job_id = submit(resources={"gpus": 1})["id"]
    claim_job(job_id)
    shown = client.get("/ui/workers").text
    used, free = shown.split('<li class="gpu')[1:]
    assert "GPU 0" in used
    assert f"/ui/jobs/{job_id}" in used
    assert "GPU 1" in free
    assert "free" in free
    assert "1 of 100 slots in use" in " ".join(shown.split())


def test_a_gpu_that_another_team_s_job_holds_is_taken_but_not_whose(make_app: MakeApp, store: MemoryStore) -> None:
    owner = make_app(api_tokens=("an-administrator-s-word",), teams_isolated=True).test_client()
    store.beat(HOST, gap_seconds=60)
    body = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git", "resources": {"gpus": 1}}
    word = {"Authorization": "Bearer an-administrator-s-word"}
    job_id = (owner.post("/retrain", json=body, headers=word).json or {})["id"]
    store.claim(job_id, host=HOST, lease_seconds=60)
    shown = signed_in(make_app, store, Role.OPERATOR, team="vision", teams_isolated=True).get("/ui/workers").text
    assert "in use" in shown.split('<li class="gpu')[1]
    assert "1 of other teams" in shown
    assert job_id not in shown
    assert "Drain" not in shown


def test_a_host_is_drained_with_a_reason_and_takes_jobs_again(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(HOST, gap_seconds=60)
    done = press(client, "/ui/workers/gpu-1", "/ui/workers/gpu-1/drain", reason="new <disks>")
    assert (done.status_code, done.location) == (303, "/ui/workers/gpu-1?told=drained")
    shown = client.get(done.location).text
    assert "new &lt;disks&gt;" in shown
    assert "Nothing runs here any more." in shown
    assert (client.get("/workers").json or {})["workers"][0]["drain"]["reason"] == "new <disks>"
    press(client, "/ui/workers", "/ui/workers/gpu-1/undrain")
    assert (client.get("/workers").json or {})["workers"][0]["drain"] is None


def test_who_may_not_operate_sees_no_button_for_it(make_app: MakeApp, store: MemoryStore) -> None:
    store.beat(HOST, gap_seconds=60)
    browser = signed_in(make_app, store, Role.VIEWER)
    assert "/drain" not in browser.get("/ui/workers/gpu-1").text
    assert "#drain" not in browser.get("/ui/workers").text


def test_why_a_host_takes_nothing_is_said_in_words(client: FlaskClient, store: MemoryStore) -> None:
    store.beat(Host("full", 1, {"default"}, "docker", closed_because=QueueCode.DISK_FULL), gap_seconds=60)
    store.beat(replace(HOST, machine=Machine("a", says="vm-a")), gap_seconds=60)
    with pytest.raises(HostNameTaken):
        store.beat(replace(HOST, machine=Machine("b", says="<b>vm-b</b>")), gap_seconds=60)
    store.leave("full")
    shown = client.get("/ui/workers").text
    assert "its disk is full" in shown
    assert "signed off" in shown
    assert "&lt;b&gt;vm-b&lt;/b&gt; asked for it" in shown


def test_an_unknown_host_is_not_found(client: FlaskClient) -> None:
    assert client.get("/ui/workers/none").status_code == 404
