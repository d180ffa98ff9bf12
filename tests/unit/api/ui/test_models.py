"""The pages of models: who is champion and why, what waits for approval, and moving the champion."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.ui.model_words import chart_of, said_of
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from shared.promoting import look_for_foreign
from tests.fakes.model_gate import FakeGate
from tests.fakes.store import MemoryStore
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.models.test_observations import begin
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import MakeApp

CHAMPION = ("iris", "champion")
HOSTILE = "<script>alert(1)</script>\u202e"
DECISION = {"metric": "accuracy", "direction": "higher_is_better", "challenger": 0.9, "champion": 0.8}
FACTS: dict[str, Any] = {
    "challenger": {"model_name": "iris", "metric": "accuracy", "value": 0.9, "metrics": {}, "dataset": None},
    "champion": None,
    "rules": {"lower_is_better": False, "min_delta": 0.0, "min_value": None, "guardrails": []},
}
WAITING = NewPromotion(
    *CHAMPION,
    Kind.TRAINING,
    "3",
    "2",
    PromotionState.AWAITING_APPROVAL,
    "job j",
    "waits for approval: accuracy 0.9 > 0.8",
    decision=DECISION,
    facts=FACTS,
)


@dataclass
class Bench:
    """A browser of somebody who may do all, the store, and MLflow; version 2 is champion."""

    browser: FlaskClient
    store: MemoryStore
    mlflow: OddMlflow

    def propose(self, **changed: Any) -> Promotion:
        """Record a decision; by default that version 3 waits for approval."""
        new = replace(WAITING, **changed)
        return self.store.propose(new, seen=self.store.last_event(new.model, new.alias))

    def text(self, address: str) -> str:
        """Return the page's text, without its marks."""
        answer = self.browser.get(address)
        assert answer.status_code == 200, answer.text
        return plain(answer.text)


def plain(page: str) -> str:
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))


@pytest.fixture
def bench(make_app: MakeApp, store: MemoryStore) -> Iterator[Bench]:
    with odd_mlflow() as mlflow:
        yield Bench(make_app(mlflow_tracking_uri=mlflow.served.url).test_client(), store, mlflow)


def followed(bench: Bench, answer: TestResponse) -> str:
    assert answer.status_code == 303, answer.text
    return bench.text(answer.location)


def test_the_list_shows_champions_what_waits_and_what_happened_last(bench: Bench) -> None:
    made = bench.propose()
    page = bench.browser.get("/ui/models").text
    assert "/ui/models/iris/versions/2" in page
    assert f"/ui/promotions/{made.id}" in page
    assert "Version 3 waits for approval" in plain(page)
    assert "iris" not in bench.text("/ui/models?name=ROSES")
    assert "/ui/models/iris" in bench.browser.get("/ui/models?name=IRI").text


def test_a_model_shows_its_versions_with_values_and_its_history(bench: Bench) -> None:
    bench.propose(version="2", state=PromotionState.NOT_PROMOTED, reason="not promoted: 0.7 < 0.8")
    page = bench.browser.get("/ui/models/iris").text
    assert 'id="versions-chart"' in page
    assert "accuracy 0.9" in plain(page)
    assert "Version 2 was refused" in plain(page)


def test_while_mlflow_does_not_answer_pages_show_what_is_recorded_and_say_so(
    make_app: MakeApp, store: MemoryStore, bench: Bench
) -> None:
    look_for_foreign(store, FakeGate(aliases={CHAMPION: "2"}), *CHAMPION)
    bench.propose()
    away = replace(bench, browser=make_app(mlflow_tracking_uri="http://127.0.0.1:1").test_client())
    for address in ("/ui/models", "/ui/models/iris"):
        page = away.text(address)
        assert "MLflow does not answer" in page
        assert "version 2" in page
        assert "waits for approval: accuracy 0.9 > 0.8" in page
    assert away.browser.get("/ui/models/iris/versions/3").status_code == 503
    assert away.browser.get("/ui/models/roses").status_code == 404


def test_who_was_champion_at_a_time(bench: Bench) -> None:
    look_for_foreign(bench.store, FakeGate(aliases={CHAMPION: "2"}), *CHAMPION)
    assert "version 2 was champion" in bench.text("/ui/models/iris?at=2999-01-01T00:00")
    assert "has no move of it until then" in bench.text("/ui/models/iris?at=2001-01-01T00:00")
    assert bench.browser.get("/ui/models/iris?at=soon").status_code == 422


def test_a_probation_and_what_was_observed_in_it_are_shown(bench: Bench) -> None:
    begin(bench.store)
    bench.mlflow.aliases = {"champion": "3", "previous": "2"}
    bench.browser.post("/models/iris/observations", json={"metric": "accuracy", "value": 0.88})
    said = bench.text("/ui/models/iris")
    assert "accuracy must not fall below 0.85 until" in said
    assert "1 observed, 0 too bad" in said
    assert "0.88 holds accuracy 0.88 is worse than 0.9 by 0.02, and 0.05 is allowed" in said
    assert "on probation" in bench.text("/ui/models")


def test_a_model_whose_name_is_no_place_in_an_address_is_named_without_a_link(make_app: MakeApp, bench: Bench) -> None:
    bench.propose(model="..")
    page = make_app(mlflow_tracking_uri="http://127.0.0.1:1").test_client().get("/ui/models").text
    assert "<bdi>..</bdi>" in page
    assert 'href="/ui/models/.."' not in page


def test_the_history_goes_on_to_the_next_page(bench: Bench) -> None:
    for version in ("1", "2", "3"):
        bench.propose(version=version, state=PromotionState.NOT_PROMOTED, reason="not promoted: worse")
    page = bench.browser.get("/ui/models/iris/history?limit=2").text
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following
    assert "Version 1 was refused" not in plain(page)
    assert "Version 1 was refused" in bench.text(unescape(following[1]))


def test_who_is_approved_becomes_champion_and_the_page_says_so(bench: Bench) -> None:
    made = bench.propose()
    on = f"/ui/promotions/{made.id}"
    assert "version 2 is kept as the one before" in bench.text(on)
    said = followed(bench, press(bench.browser, on, f"{on}/approve", reason="as discussed"))
    assert "It is approved, and champion now." in said
    assert "as discussed" in said
    assert bench.mlflow.aliases == {"previous": "2", "champion": "3"}


def test_of_two_who_answer_the_second_sees_which_answer_counted(bench: Bench) -> None:
    on = f"/ui/promotions/{bench.propose().id}"
    press(bench.browser, on, f"{on}/reject", reason="blind to roses")
    for word in ("approve", "reject"):
        late = followed(bench, press(bench.browser, "/ui/models/iris/versions/1", f"{on}/{word}", reason="late"))
        assert "faster than you" in late
        assert "Version 3 was rejected" in late
        assert "blind to roses" in late
        assert "Your answer" not in late
    assert bench.mlflow.aliases == {"champion": "2"}


def test_a_rejection_needs_a_reason(bench: Bench) -> None:
    on = f"/ui/promotions/{bench.propose().id}"
    assert press(bench.browser, on, f"{on}/reject").status_code == 422
    assert bench.store.get_promotion(on.rpartition("/")[2]).state is PromotionState.AWAITING_APPROVAL


def test_what_making_a_version_champion_does_is_said_before_it_is_done(bench: Bench) -> None:
    on = "/ui/models/iris/versions/1"
    said = bench.text(on)
    assert "moves from version 2 to version 1, and version 2 gets the alias previous" in said
    done = press(bench.browser, on, "/ui/models/iris/champion", version="1", instead_of="2", reason="wrong labels")
    assert "The champion has moved." in followed(bench, done)
    assert bench.mlflow.aliases == {"champion": "1", "previous": "2"}
    assert "Rolled back: version 1 is champion" in bench.text("/ui/models/iris/history")


def test_a_champion_that_moved_since_the_page_was_shown_is_not_replaced(bench: Bench) -> None:
    bench.mlflow.aliases["champion"] = "3"
    on, form = "/ui/models/iris/versions/1", {"version": "1", "reason": "wrong labels"}
    late = press(bench.browser, on, "/ui/models/iris/champion", instead_of="2", **form)
    assert "so nothing was done" in followed(bench, late)
    assert bench.mlflow.aliases == {"champion": "3"}


def test_two_versions_are_shown_side_by_side(bench: Bench) -> None:
    bench.propose(version="1", state=PromotionState.NOT_PROMOTED)
    said = bench.text("/ui/models/iris/compare?a=1&b=2")
    assert "accuracy 0.7 0.8 +0.1 better" in said
    by_default = bench.text("/ui/models/iris/compare")
    assert "Versions 2 and 1 of iris" in by_default
    assert "accuracy 0.8 0.7 -0.1 worse" in by_default
    assert bench.browser.get("/ui/models/iris/compare?a=x&b=2").status_code == 404


def test_who_may_not_approve_sees_no_form_for_it_and_is_refused(
    make_app: MakeApp, store: MemoryStore, bench: Bench
) -> None:
    token, facts = new_token(), {"roles": frozenset({Role.OPERATOR}), "created_by": "env-1"}
    store.create_token(NewToken(name="ann", hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
    settings = {"mlflow_tracking_uri": bench.mlflow.served.url, "api_tokens": ("an-administrator-s-word",)}
    ann = make_app(**settings).test_client()
    sign_in(ann, token)
    on = f"/ui/promotions/{bench.propose().id}"
    for address in (on, "/ui/models/iris/versions/1", "/ui/models/iris"):
        page = ann.get(address).text
        assert "Your answer" not in page
        assert "make-champion" not in page
    assert press(ann, on, f"{on}/approve").status_code == 403
    assert press(ann, on, "/ui/models/iris/champion", version="1", reason="x").status_code == 403
    assert bench.mlflow.aliases == {"champion": "2"}


def test_names_and_reasons_are_text_whatever_is_in_them(make_app: MakeApp, store: MemoryStore, bench: Bench) -> None:
    name = "a <b> & 'b' \"c\" % ?#\u202e💐"
    made = bench.propose(model=name, reason=HOSTILE * 1000, actor=HOSTILE, decision={**DECISION, "metric": HOSTILE})
    away = replace(bench, browser=make_app(mlflow_tracking_uri="http://127.0.0.1:1").test_client())
    for address in ("/ui/models", f"/ui/promotions/{made.id}"):
        page = away.browser.get(address).text
        assert "<script>alert" not in page
        assert len(page) < 40_000
    link = re.search(r'href="(/ui/models/a%20[^"]+)"', away.browser.get("/ui/models").text)
    assert link
    assert "waits for approval" in away.text(unescape(link[1]))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("event", Event)
def test_each_event_is_said_in_words(event: Event, kind: Kind) -> None:
    told = {"event": event, "kind": kind, "version": "3", "alias": "champion", "reason": "promoted: 0.9 > 0.8"}
    said = said_of(told)
    assert said[0].isupper()
    assert "{" not in said
    assert "_" not in said
    assert "no version" in said_of({**told, "version": None}).lower() or "{version}" not in said


def test_the_chart_is_of_the_metric_that_most_versions_have_and_marks_champions() -> None:
    at = "2026-01-01T00:0{}:00Z"
    names = [(None, None), ("loss", 0.5), ("accuracy", 0.9), ("accuracy", None), ("accuracy", 0.7)]
    versions = [
        {"version": str(5 - n), "metric": metric, "value": value, "created_at": at.format(5 - n)}
        for n, (metric, value) in enumerate(names)
    ]
    found = chart_of(versions, champions=["1"], champion="3")
    assert found is not None
    metric, chart = found
    assert metric == "accuracy"
    assert [(line.name, len(line.markers)) for line in chart.lines] == [("all versions", 2), ("champions", 2)]
    assert chart.reference is not None
    assert chart.reference[1:] == ("champion, version 3", 0.9)
    assert chart_of(versions[:1], [], None) is None
