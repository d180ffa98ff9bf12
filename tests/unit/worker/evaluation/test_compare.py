"""What the scores of two models say: means, the interval of their difference, slices; and what is not comparable."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mypackage.gate.decision import Challenger, Champion, decide
from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.gate.rules import Rules
from worker.evaluation import compare as process
from worker.evaluation.compare import Scores, Unfit
from worker.evaluation.comparing import Question, compare

COMPARISONS = 1000
RULES = Rules(False, min_confidence=0.95)


def scores(values: Any, **columns: list[str]) -> Scores:
    return Scores({str(number): float(value) for number, value in enumerate(values)}, columns)


def difference(ours: Scores, theirs: Scores, *, lower_is_better: bool = False) -> dict[str, Any]:
    return process.compare(ours, theirs, lower_is_better=lower_is_better, confidence=0.95, slices=())


def evidence(ours: Any, theirs: Any) -> Evidence:
    said = difference(scores(ours), scores(theirs))
    return Evidence(metric="accuracy", confidence=0.95, **{**said, "slices": ()})


def test_the_interval_is_students_of_the_paired_differences() -> None:
    theirs = np.array([0.1, 0.4, 0.2, 0.9, 0.5, 0.7])
    gains = np.array([0.1, 0.2, 0.1, -0.05, 0.3, 0.05])
    said = difference(scores(theirs + gains), scores(theirs))
    half = 2.5706 * gains.std(ddof=1) / np.sqrt(6)  # t of 5 degrees of freedom at 97.5 %
    assert said["n"] == 6
    assert said["difference"] == pytest.approx(gains.mean())
    assert (said["low"], said["high"]) == pytest.approx((gains.mean() - half, gains.mean() + half), abs=1e-5)


def test_where_lower_is_better_the_difference_is_still_by_how_much_the_new_model_is_better() -> None:
    ours, theirs = scores([0.1] * 9 + [0.3]), scores([0.2] * 9 + [0.5])
    said = difference(ours, theirs, lower_is_better=True)
    assert said["difference"] == pytest.approx(0.11)
    assert said["low"] < 0.11 < said["high"]


def test_examples_are_paired_by_id_whatever_their_order() -> None:
    theirs = Scores({"b": 0.0, "a": 1.0}, {})
    assert difference(Scores({"a": 1.0, "b": 0.0}, {}), theirs)["difference"] == 0


def test_each_slice_is_compared_by_itself() -> None:
    ages = ["old"] * 6 + ["young"] * 6
    said = difference(scores([0] * 6 + [1] * 6, age=ages), scores([1] * 6 + [0] * 6, age=ages))
    assert said["difference"] == 0
    assert [(each["value"], each["n"], each["difference"]) for each in said["slices"]] == [
        ("old", 6, -1.0),
        ("young", 6, 1.0),
    ]


def test_a_few_examples_on_which_they_differ_say_nothing_about_chance() -> None:
    said = difference(scores([1] * 4 + [0] * 96), scores([0] * 100))
    assert (said["difference"], said["low"], said["high"]) == (0.04, None, None)
    assert difference(scores([1] * 5 + [0] * 95), scores([0] * 100))["low"] is not None


@pytest.mark.parametrize(("count", "confidence", "is_known"), [(6, 0.99, False), (7, 0.99, True), (7, 0.999, False)])
def test_the_surer_one_must_be_the_more_examples_must_differ_even_if_all_became_better_by_as_much(
    count: int, confidence: float, is_known: bool
) -> None:
    ours, theirs = scores([1] * count), scores([0] * count)
    said = process.compare(ours, theirs, lower_is_better=False, confidence=confidence, slices=())
    assert (said["low"] is not None) == is_known


@pytest.mark.parametrize("wrong", [0.02, 0.1, 0.4])
def test_equal_models_are_promoted_in_at_most_5_percent_of_comparisons(wrong: float) -> None:
    """Two models that are equally good, each wrong on its own examples, by chance alone."""
    random = np.random.default_rng(20261129)
    promoted = 0
    for _ in range(COMPARISONS):
        ours, theirs = (random.random(300) > wrong for _ in range(2))
        promoted += decide(
            Challenger("x", "accuracy", None), Champion("1", None), RULES, evidence(ours, theirs)
        ).promoted
    assert promoted <= COMPARISONS * 0.05


def test_a_model_that_is_better_is_seen_to_be() -> None:
    random = np.random.default_rng(20261129)
    ours, theirs = random.random(2000) > 0.05, random.random(2000) > 0.10
    decision = decide(Challenger("x", "accuracy", None), Champion("1", None), RULES, evidence(ours, theirs))
    assert decision.promoted
    assert decision.reason.startswith("promoted: better by 0.0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the first line of its scores is '', not 'id,score[,column…]'"),
        ("id,value\n1,2\n", "the first line of its scores is 'id,value'"),
        ("id,score,score\n", "the first line of its scores"),
        ("id,score\n", "it has no scores"),
        ("id,score\n1,good\n", "line 2 of its scores has 'good' as score, which is not a number"),
        ("id,score\n1,nan\n", "'nan' as score"),
        ("id,score\n1,1e999\n", "'1e999' as score"),
        ("id,score\n1,1\n1,0\n", "its scores have the id '1' twice"),
        ("id,score\n1\n", "line 2 of its scores has 1 fields, and 2 are named"),
        ('id,score\n"1', "its scores are not CSV"),
    ],
)
def test_scores_that_cannot_be_read_are_told(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(Unfit) as caught:
        process.read(str(tmp_path / "scores.csv"), "champion")
    assert caught.value.which == "champion"
    assert why in caught.value.why


def test_scores_of_different_examples_are_not_compared() -> None:
    with pytest.raises(Unfit, match="2 examples have a score of one model only, such as '2'"):
        difference(Scores({"1": 1.0, "2": 1.0}, {}), Scores({"1": 1.0, "3": 1.0}, {}))


def test_more_examples_than_a_host_should_hold_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MOST_EXAMPLES", 2)
    (tmp_path / "scores.csv").write_text("id,score\n1,1\n2,1\n3,1\n")
    with pytest.raises(Unfit, match="more than 2 examples"):
        process.read(str(tmp_path / "scores.csv"), "champion")


def test_a_process_of_its_own_compares(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    lines = [f"{number},{number % 3 > 0:d},{number % 2}" for number in range(90)]
    ours.write_text("\n".join(["id,score,odd", *lines]))
    theirs.write_text("\n".join(["id,score,odd", *(f"{number},{number % 2},{number % 2}" for number in range(90))]))
    question = Question("accuracy", ours, theirs, lower_is_better=False, slices=("odd",))
    found = compare(question)
    assert isinstance(found, Evidence)
    assert (found.n, found.champion) == (90, 0.5)
    assert found.challenger == pytest.approx(2 / 3)
    assert {each.value for each in found.slices} == {"0", "1"}
    theirs.write_text("nothing")
    assert compare(question) == Unscorable(
        "champion", "the first line of its scores is 'nothing', not 'id,score[,column…]'"
    )
