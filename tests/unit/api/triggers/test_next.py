"""GET /triggers?next=: those whose time comes first."""

from typing import Any

from flask.testing import FlaskClient

from tests.unit.conftest import BODY


def add(client: FlaskClient, name: str, when: dict[str, Any]) -> None:
    assert client.post("/triggers", json={"name": name, "template": BODY, "when": when}).status_code == 201


def test_only_those_that_come_next_are_told_and_none_that_is_paused_or_waits_for_something(
    client: FlaskClient,
) -> None:
    add(client, "a-signal", {"signal": {}})
    for name in ("first", "paused", "second", "third"):
        add(client, name, {"every": 60})
    client.post("/triggers/paused/pause", json={})
    found = client.get("/triggers?next=2").json or {}
    assert [each["name"] for each in found["triggers"]] == ["first", "second"]
    assert client.get("/triggers?next=0").status_code == 422


def test_a_list_tells_the_first_time_and_a_trigger_five(client: FlaskClient) -> None:
    add(client, "first", {"every": 60})
    [listed] = (client.get("/triggers").json or {})["triggers"]
    assert len(listed["next_at"]) == 1
    assert len((client.get("/triggers/first").json or {})["next_at"]) == 5
