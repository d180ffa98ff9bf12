"""What a project's code may log as scores."""

from typing import Any

import pytest

from mypackage.evaluation import _rows


def test_rows_are_in_the_order_given() -> None:
    assert _rows(["a", 2], [0.5, 1.0], {"age": ["old", "young"]}) == [["a", 0.5, "old"], [2, 1.0, "young"]]


@pytest.mark.parametrize(
    ("ids", "scores", "columns", "why"),
    [
        ([1, 2], [1.0], {}, "There are 2 ids, 1 scores: each example needs one of each"),
        ([1], [1.0], {"age": []}, "There are 1 ids, 1 scores, 0 age"),
        ([1, "1"], [1.0, 1.0], {}, "An id comes twice"),
        ([1], [float("nan")], {}, "The score of 1 is not a number"),
        ([1], [float("inf")], {}, "The score of 1 is not a number"),
    ],
)
def test_what_cannot_be_compared_is_refused_where_it_is_logged(
    ids: list[Any], scores: list[float], columns: dict[str, list[Any]], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        _rows(ids, scores, columns)
