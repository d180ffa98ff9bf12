"""PUT /models/<name>/team."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented


def test_an_administrator_says_whose_a_model_is(client: FlaskClient, store: MemoryStore) -> None:
    for team in ("vision", None):
        answer = client.put("/models/iris/team", json={"team": team})
        assert (answer.status_code, answer.json) == (200, {"model": "iris", "team": team})
        assert store.team_of_model("iris") == team


@pytest.mark.parametrize("body", [{}, {"team": "Vision"}, {"team": ""}, {"team": 1}, {"team": "v", "x": 1}])
def test_what_is_no_team_is_refused(client: FlaskClient, body: dict[str, Any]) -> None:
    assert client.put("/models/iris/team", json=body).status_code == 422


def _assigning(api: Api) -> Asking:
    missing = api.client()
    return Asking(
        "/models/iris/team",
        {"team": "vision"},
        others={"404": lambda: missing.put("/models/a:b/team", json={"team": None})},
    )


DOCUMENTED: Documented = {"PUT /models/<model>/team": _assigning}
