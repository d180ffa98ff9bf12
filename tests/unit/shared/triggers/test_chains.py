"""Which triggers of the kind job would start each other for ever."""

from typing import Any

import pytest

from shared.jobs.triggers import NewTrigger
from shared.triggers.chains import find_circle
from tests.support.kept_triggers import REQUEST, a_trigger

NIGHTLY = {"cron": "30 2 * * *"}


def after(name: str, *, model: str | None = None, **job: Any) -> NewTrigger:
    return a_trigger(name, when={"job": job} if job else NIGHTLY, template={**REQUEST, "model_name": model})


@pytest.mark.parametrize(
    ("new", "circle"),
    [
        (after("a", trigger="a"), ("a", "a")),
        (after("a", trigger="c"), ("a", "b", "c", "a")),
        (after("a", model="iris"), None),
        (after("own", model=None, trigger="nobody"), None),
    ],
)
def test_a_circle_is_told_from_the_new_one_back_to_it(new: NewTrigger, circle: tuple[str, ...] | None) -> None:
    assert find_circle(new, [after("b", trigger="a"), after("c", trigger="b"), after("d", trigger="d-none")]) == circle


def test_a_model_closes_a_circle_too() -> None:
    embeds = a_trigger("embeds", when={"job": {"model": "ranks"}}, template={**REQUEST, "model_name": "embeds"})
    ranks = a_trigger("ranks", when={"job": {"trigger": "embeds"}}, template={**REQUEST, "model_name": "ranks"})
    own = a_trigger("own", when={"job": {"model": "own"}}, template={**REQUEST, "model_name": "own"})
    assert find_circle(ranks, [embeds]) == ("ranks", "embeds", "ranks")
    assert find_circle(own, []) == ("own", "own")
    assert find_circle(embeds, [after("other", model="other")]) is None


@pytest.mark.parametrize(
    ("registry", "closes"),
    [
        ({"model": "iris"}, True),
        ({"model": "*"}, True),
        ({"model": "embeddings"}, False),
        ({"model": "iris", "event": "alias_moved"}, True),
        ({"model": "iris", "event": "alias_moved", "alias": "champion"}, True),
        ({"model": "iris", "event": "alias_moved", "alias": "retrain-me"}, False),
    ],
    ids=str,
)
def test_a_change_of_the_registry_that_its_own_jobs_make_closes_a_circle(
    registry: dict[str, str], closes: bool
) -> None:
    own = a_trigger("own", when={"registry": registry}, template={**REQUEST, "model_name": "iris"})
    assert (find_circle(own, []) is not None) == closes
    assert find_circle(a_trigger("own", when={"registry": registry}), []) is None


def test_what_is_replaced_does_not_count_and_other_circles_are_not_its_fault() -> None:
    assert find_circle(after("a"), [after("a", trigger="b"), after("b", trigger="a")]) is None
    assert find_circle(after("new", trigger="b"), [after("b", trigger="c"), after("c", trigger="b")]) is None
