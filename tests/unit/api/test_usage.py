"""GET /usage: what was used, by whom, and what of it was wasted."""

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, a_host, claim, submit
from tests.unit.api.documented import Asking, Documented
from tests.unit.conftest import MakeApp

DOCUMENTED: Documented = {"GET /usage": lambda _api: Asking("/usage")}
ALL = {"since": "2030-01", "until": "2030-12"}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(clock: HeldClock) -> MemoryStore:
    return MemoryStore(limits=Limits(per_key=100), clock=clock)


def train(store: MemoryStore, clock: HeldClock, *, hours: float, ends: Any = SUCCEEDED, **fields: Any) -> None:
    job = submit(store, **fields)
    clock.pass_seconds(900)
    taken = claim(store, job, host=a_host(gpus=tuple("0123")))
    clock.pass_seconds(hours * 3600)
    store.finish(taken, ends)


def asked(client: FlaskClient, **query: str) -> dict[str, Any]:
    answer = client.get("/usage", query_string={**ALL, **query})
    assert answer.status_code == 200, answer.text
    return answer.json or {}


def test_hours_are_told_with_what_of_them_was_wasted(client: FlaskClient, store: MemoryStore, clock: HeldClock) -> None:
    cores = {"request": {"experiment_name": "iris", "resources": {"cpus": 4.0}}}
    train(store, clock, hours=2, gpus=2, model_name="iris", **cores)
    train(store, clock, hours=1, gpus=1, model_name="iris", ends=FAILED)
    [row] = asked(client)["rows"]
    wasted = row.pop("wasted")
    assert row == {
        "name": "iris",
        "attempts": 2,
        "hours": 3.0,
        "gpu_hours": 5.0,
        "cpu_hours": 8.0,
        "hours_without_cpus": 1.0,
        "waited_hours": 0.5,
    }
    assert wasted == {
        "attempts": 1,
        "hours": 1.0,
        "gpu_hours": 1.0,
        "cpu_hours": 0.0,
        "hours_without_cpus": 1.0,
        "failed": 1,
        "cancelled": 0,
        "lost": 0,
    }


def test_who_used_most_comes_first_and_months_come_in_their_order(
    client: FlaskClient, store: MemoryStore, clock: HeldClock
) -> None:
    train(store, clock, hours=1, model_name="small", gpus=1)
    clock.pass_seconds(40 * 86400)
    train(store, clock, hours=2, model_name="large", gpus=1)
    train(store, clock, hours=9, model_name=None)
    assert [row["name"] for row in asked(client)["rows"]] == ["large", "small", None]
    assert [row["name"] for row in asked(client, by="month")["rows"]] == ["2030-01", "2030-02"]
    assert [row["name"] for row in asked(client, until="2030-01")["rows"]] == ["small"]
    assert asked(client, model="small")["total"]["gpu_hours"] == 1.0


def test_rows_beyond_the_limit_are_counted_and_are_in_the_total(
    client: FlaskClient, store: MemoryStore, clock: HeldClock
) -> None:
    for name in ("a", "b", "c"):
        train(store, clock, hours=1, model_name=name, gpus=1)
    found = asked(client, limit="2")
    assert (len(found["rows"]), found["left_out"], found["total"]["gpu_hours"]) == (2, 1, 3.0)


def test_by_default_it_is_the_last_twelve_months(client: FlaskClient) -> None:
    found = client.get("/usage?until=2030-03").json or {}
    assert (found["since"], found["until"], found["by"]) == ("2029-04", "2030-03", "model")
    assert (client.get("/usage?until=0001-02").json or {})["since"] == "0000-03"


@pytest.mark.parametrize(
    "wrong", ["since=2030-13", "since=2030", "until=2030-1", "by=colour", "limit=0", "until=২০৩০-01"]
)
def test_what_is_no_month_is_refused(client: FlaskClient, wrong: str) -> None:
    assert client.get(f"/usage?{wrong}").status_code == 422


@pytest.mark.parametrize(("isolated", "seen"), [(True, ["mine"]), (False, ["mine", "theirs"])])
def test_an_isolated_team_sees_its_own_only(
    make_app: MakeApp, store: MemoryStore, clock: HeldClock, isolated: bool, seen: list[str]
) -> None:
    client, token = make_app(api_tokens=("a-word",), teams_isolated=isolated).test_client(), new_token()
    new = NewToken(name="ann", hash=hash_of(token), hint="art_", roles=frozenset({Role.VIEWER}), created_by="env-1")
    store.create_token(replace(new, team="vision"))
    for team, model in (("vision", "mine"), ("speech", "theirs")):
        train(store, clock, hours=1, team=team, model_name=model)
    headers = {"Authorization": f"Bearer {token}"}

    def models(**query: str) -> list[str]:
        answer = client.get("/usage", query_string={**ALL, **query}, headers=headers).json or {}
        assert (answer["total"]["hours"] > 0) == bool(answer["rows"])
        return [row["name"] for row in answer["rows"]]

    assert models() == seen
    assert models(team="speech") == [each for each in seen if each == "theirs"]
