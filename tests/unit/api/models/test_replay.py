"""Recorded decisions under other rules: each against the champion that it met, and nothing guessed."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.replay import Outcome, replay
from mypackage.gate.decision import Challenger, Champion, decide
from mypackage.gate.evidence import Evidence, Slice, Unscorable
from mypackage.gate.rules import Guardrail, Rules
from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, Promotion, PromotionState
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.unit.api.documented import Asking, Documented
from tests.unit.conftest import MakeApp

PATH = "/models/iris/replay"
MODEL = Challenger("iris", "accuracy", 0.9, metrics={"accuracy": 0.9, "recall": 0.7})
THEIRS = Champion("1", 0.88, metrics={"accuracy": 0.88, "recall": 0.8})
RULES = Rules(lower_is_better=False)
SCORES = Evidence("accuracy", 450, 0.9, 0.88, 0.02, 0.01, 0.03, 0.95, (Slice("city", "Oslo", 9, 0.7, 0.8, -0.1),))


def recorded(
    store: MemoryStore,
    challenger: Challenger = MODEL,
    champion: Champion | None = THEIRS,
    rules: Rules = RULES,
    evidence: Evidence | Unscorable | None = None,
    **values: Any,
) -> Promotion:
    """A decision as the worker records it."""
    decision = decide(challenger, champion, rules, evidence)
    state = PromotionState.NOT_PROMOTED
    facts = {
        "challenger": asdict(challenger),
        "champion": asdict(champion) if champion else None,
        "rules": asdict(rules),
        "evidence": asdict(evidence) if isinstance(evidence, Evidence) else None,
        "unscorable": asdict(evidence) if isinstance(evidence, Unscorable) else None,
    }
    new = NewPromotion(
        *("iris", CHAMPION, Kind.TRAINING, "2", "1", state, "job j", decision.reason),
        facts=facts,
        decision={"promoted": decision.promoted, "reason": decision.reason},
    )
    return store.propose(replace(new, **values), seen=store.last_event("iris", CHAMPION))


def outcome(made: Promotion, **rules: Any) -> tuple[Outcome, str]:
    [done] = replay([made], rules)
    return done.outcome, done.now


SAME = Outcome.SAME, "promoted: 0.9 > 0.88"
CASES: list[tuple[dict[str, Any], Outcome, str]] = [
    ({}, *SAME),
    ({"min_delta": 0.01}, *SAME),
    ({"metric": "accuracy"}, *SAME),
    ({"min_delta": 0.02}, Outcome.WOULD_REFUSE, "better by 0.02 only"),
    ({"min_value": 0.95}, Outcome.WOULD_REFUSE, "accuracy 0.9 is below 0.95"),
    ({"direction": "lower_is_better"}, Outcome.WOULD_REFUSE, "0.9 > 0.88 (lower is better)"),
    ({"metric": "recall"}, Outcome.WOULD_REFUSE, "0.7 < 0.8"),
    ({"guardrails": {"recall": 0.05}}, Outcome.WOULD_REFUSE, "recall fell by 0.1, 0.05 is allowed"),
    ({"guardrails": {"recall": 0.05}, "guardrail_directions": {"recall": "lower_is_better"}}, *SAME),
    (
        {"metric": "f1"},
        Outcome.UNKNOWN,
        "the record has no f1 of this model; it holds the metrics of its own rules and, of each model, 50 others",
    ),
    ({"guardrails": {"f1": 0.1}}, Outcome.UNKNOWN, "the record has no f1 of this model"),
    ({"min_confidence": 0.95}, Outcome.UNKNOWN, "the record has no scores of both models on the same data"),
    ({"slices": {"city": 0.1}}, Outcome.UNKNOWN, "the record has no scores of both models on the same data"),
    ({"guardrails": {str(n): 0.1 for n in range(10)} | {"recall": 1.0}}, Outcome.UNKNOWN, "11 guardrails"),
]


@pytest.mark.parametrize(("rules", "expected", "reason"), CASES, ids=str)
def test_a_decision_under_other_rules(
    store: MemoryStore, rules: dict[str, Any], expected: Outcome, reason: str
) -> None:
    found, now = outcome(recorded(store), **rules)
    assert (found, reason in now) == (expected, True), now


def test_rules_are_laid_over_those_that_decided(store: MemoryStore) -> None:
    strict = Rules(
        lower_is_better=False, min_delta=0.05, guardrails=(Guardrail("recall", 0.01, lower_is_better=False),)
    )
    made = recorded(store, rules=strict)
    assert outcome(made)[0] is Outcome.SAME
    assert outcome(made, min_delta=0.0)[1] == "not promoted: 0.9 > 0.88, but recall fell by 0.1, 0.01 is allowed"
    assert outcome(made, min_delta=0.0, guardrails={"recall": 0.1}) == (Outcome.WOULD_PROMOTE, "promoted: 0.9 > 0.88")


def test_a_first_champion_met_nobody(store: MemoryStore) -> None:
    made = recorded(store, champion=None)
    assert outcome(made, guardrails={"f1": 0.1}, min_confidence=0.9)[0] is Outcome.SAME
    assert outcome(made, min_value=0.95)[0] is Outcome.WOULD_REFUSE


def test_a_metric_that_the_champion_alone_lacks_is_named_as_its_own(store: MemoryStore) -> None:
    made = recorded(store, champion=replace(THEIRS, metrics={"accuracy": 0.88}))
    assert outcome(made, metric="recall")[1].startswith("the record has no recall of the champion, version 1")


def test_data_that_differs_may_be_noted(store: MemoryStore) -> None:
    made = recorded(store, replace(MODEL, dataset="a"), replace(THEIRS, dataset="b"))
    assert outcome(made, different_data="note")[0] is Outcome.WOULD_PROMOTE


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_value_that_is_no_number_is_read_as_it_was(store: MemoryStore, value: float | None) -> None:
    made = recorded(store, replace(MODEL, value=value, metrics={} if value is None else {"accuracy": value}))
    assert outcome(made)[0] is Outcome.SAME
    assert outcome(made, min_value=0.1)[0] is Outcome.SAME


@pytest.mark.parametrize(
    ("rules", "expected", "reason"),
    [
        ({}, Outcome.SAME, "better by 0.02 [0.01, 0.03] on 450 examples"),
        ({"min_confidence": 0.95, "min_delta": 0.005}, Outcome.SAME, "better by 0.02"),
        ({"min_confidence": 0.95, "min_delta": 0.015}, Outcome.WOULD_REFUSE, "(min_confidence)"),
        ({"min_confidence": 0.99}, Outcome.UNKNOWN, "the interval of its scores is of a confidence of 0.95"),
        ({"slices": {"city": 0.05}}, Outcome.WOULD_REFUSE, "where city is Oslo"),
        ({"slices": {"age": 0.05}}, Outcome.UNKNOWN, "its scores have no column age"),
        ({"metric": "recall"}, Outcome.UNKNOWN, "both models were scored by accuracy"),
        ({"direction": "lower_is_better"}, Outcome.UNKNOWN, "both models were scored by accuracy"),
    ],
    ids=str,
)
def test_scores_on_the_same_data_are_used_as_recorded(
    store: MemoryStore, rules: dict[str, Any], expected: Outcome, reason: str
) -> None:
    found, now = outcome(recorded(store, evidence=SCORES), **rules)
    assert (found, reason in now) == (expected, True), now


def test_models_that_could_not_be_scored_then_cannot_be_now(store: MemoryStore) -> None:
    made = recorded(store, evidence=Unscorable("champion", "its flavor is not in the image"))
    assert outcome(made)[0] is Outcome.SAME
    assert outcome(made, on_unscorable="logged")[0] is Outcome.WOULD_PROMOTE


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"facts": {}}, "its numbers and rules are not recorded"),
        ({"facts": {"challenger": {}, "champion": None, "rules": {}}}, "its numbers and rules are not recorded"),
        ({"facts": {"challenger": 1, "champion": [], "rules": None}}, "its numbers and rules are not recorded"),
        ({"decision": {}}, "its decision is not recorded"),
        (
            {"decision": {"promoted": False, "reason": "not promoted: its run or version is not of this job"}},
            "it was not decided by its rules alone",
        ),
    ],
    ids=str,
)
def test_a_record_that_does_not_say_enough_is_told_and_not_guessed(
    store: MemoryStore, values: dict[str, Any], reason: str
) -> None:
    assert outcome(recorded(store, **values), min_delta=1.0) == (Outcome.UNKNOWN, reason)


def test_what_a_later_version_recorded_besides_is_left_out(store: MemoryStore) -> None:
    made = recorded(store)
    facts: dict[str, Any] = {name: {**(value or {}), "of_later": 1} for name, value in made.facts.items()}
    facts |= {"evidence": None, "unscorable": None}
    assert outcome(replace(made, facts=facts))[0] is Outcome.SAME


@pytest.fixture
def api(make_app: MakeApp) -> FlaskClient:
    return make_app().test_client()


def test_the_api_lists_what_differs_and_counts_the_rest(api: FlaskClient, store: MemoryStore) -> None:
    store._clock = clock = HeldClock()
    recorded(store)
    clock.pass_seconds(60)
    made = recorded(store)
    clock.pass_seconds(60)
    recorded(store, replace(MODEL, value=0.7))
    recorded(store, facts={})
    recorded(store, kind=Kind.ROLLBACK)
    sent = {"rules": {"min_delta": 0.05, "mode": "approve"}, "since": "2030-01-01T00:01:00Z"}
    said = api.post(PATH, json=sent).json
    assert said is not None
    [first, second] = said.pop("differing")
    assert said == {
        "decisions": 3,
        "same": 1,
        "would_promote": 0,
        "would_refuse": 1,
        "unknown": 1,
        "complete": True,
        "ignored": ["mode"],
    }
    assert (first["promotion_id"], first["champion"], first["version"]) == (made.id, "1", "2")
    assert (first["was"], first["outcome"]) == ("promoted: 0.9 > 0.88", "would_refuse")
    assert first["now"].startswith("not promoted: 0.9 > 0.88, but better by 0.02 only")
    assert (second["outcome"], second["champion"]) == ("unknown", None)
    assert (api.post(PATH, json={}).json or {})["decisions"] == 4


def test_of_very_many_decisions_the_newest_are_replayed(
    api: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.views.models.replay.MOST_DECISIONS", 2)
    for _ in range(3):
        recorded(store)
    said = api.post(PATH, json={}).json or {}
    assert (said["decisions"], said["complete"]) == (2, False)


@pytest.mark.parametrize(
    "body",
    [
        {"rules": {"min_delta": -1}},
        {"rules": {"what": 1}},
        {"rules": []},
        {"since": "2030-01-01T00:00:00"},
        {"since": 5},
        {"limit": 1},
    ],
    ids=str,
)
def test_a_replay_that_makes_no_sense_is_refused(api: FlaskClient, body: dict[str, Any]) -> None:
    assert api.post(PATH, json=body).status_code == 422


DOCUMENTED: Documented = {
    "POST /models/<model>/replay": lambda api: Asking(
        PATH, others={"404": lambda: api.client().post("/models/a:b/replay")}
    )
}
