"""What the gate never does, whatever the numbers."""

import math
import sys
from fractions import Fraction

from hypothesis import assume, example, given
from hypothesis import strategies as st

from mypackage.gate.decision import Challenger, Champion, decide
from mypackage.gate.rules import Guardrail, Rules

finite = st.floats(allow_nan=False, allow_infinity=False, max_value=1e300, min_value=-1e300)
anything = st.one_of(st.floats(), st.just(sys.float_info.max), st.just(-sys.float_info.max))
maybe_champion = st.one_of(st.none(), st.builds(Champion, st.just("3"), st.one_of(st.none(), anything)))


def challenger(value: float) -> Challenger:
    return Challenger("x", "accuracy", value)


@given(value=anything, champion=maybe_champion, lower_is_better=st.booleans())
def test_what_is_promoted_is_finite_and_strictly_better_or_the_first(
    value: float, champion: Champion | None, lower_is_better: bool
) -> None:
    decision = decide(challenger(value), champion, Rules(lower_is_better=lower_is_better))
    if not decision.promoted:
        return
    assert math.isfinite(value)
    if champion is not None:
        assert champion.value is not None
        assert value < champion.value if lower_is_better else value > champion.value


@given(value=finite, champion=finite, lower_is_better=st.booleans())
def test_a_strictly_better_value_is_always_promoted(value: float, champion: float, lower_is_better: bool) -> None:
    assume(value < champion if lower_is_better else value > champion)
    assert decide(challenger(value), Champion("3", champion), Rules(lower_is_better=lower_is_better)).promoted


@given(value=anything, champion=anything)
def test_the_directions_mirror_each_other(value: float, champion: float) -> None:
    upward = decide(challenger(value), Champion("3", champion), Rules(lower_is_better=False))
    downward = decide(challenger(-value), Champion("3", -champion), Rules(lower_is_better=True))
    assert upward.promoted == downward.promoted


@given(left=finite, right=finite, lower_is_better=st.booleans())
@example(left=1.0, right=math.nextafter(1.0, 2.0), lower_is_better=False)
def test_of_two_models_at_most_one_beats_the_other(left: float, right: float, lower_is_better: bool) -> None:
    one = decide(challenger(left), Champion("3", right), Rules(lower_is_better=lower_is_better))
    other = decide(challenger(right), Champion("3", left), Rules(lower_is_better=lower_is_better))
    assert one.promoted + other.promoted == (left != right)


@given(value=finite, champion=finite)
def test_the_two_numbers_of_a_comparison_never_look_the_same(value: float, champion: float) -> None:
    assume(value != champion)
    words = decide(challenger(value), Champion("3", champion), Rules(lower_is_better=False)).reason.split()
    assert words[-3] != words[-1]


@given(
    value=finite,
    champion=finite,
    lower_is_better=st.booleans(),
    min_delta=st.floats(0, 1e300),
    min_value=st.none() | finite,
    recall=st.tuples(finite, finite, st.floats(0, 1e300)),
)
def test_no_rule_lets_in_what_is_not_strictly_better(
    value: float,
    champion: float,
    lower_is_better: bool,
    min_delta: float,
    min_value: float | None,
    recall: tuple[float, float, float],
) -> None:
    ours, theirs, allowed = recall
    rules = Rules(lower_is_better, min_delta, min_value, (Guardrail("recall", allowed, False),))
    decision = decide(
        Challenger("x", "accuracy", value, metrics={"recall": ours}),
        Champion("3", champion, metrics={"recall": theirs}),
        rules,
    )
    assert "\n" not in decision.reason
    if decision.promoted:
        assert value < champion if lower_is_better else value > champion
        assert abs(Fraction(value) - Fraction(champion)) >= Fraction(min_delta) * (1 - Fraction(1, 10**15))
        assert Fraction(ours) >= Fraction(theirs) - Fraction(allowed) * (1 + Fraction(1, 10**15)) - abs(
            Fraction(theirs) / 10**15
        )
        assert min_value is None or (value <= min_value if lower_is_better else value >= min_value)
