"""What the gate and its helpers take: evaluation data, directions, metrics and combinations."""

import numpy as np
import pytest

from mypackage.utility import as_number, dataset_name, get_combination, is_lower_better


class Dataset:
    name, digest = "iris", "abc1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("", None),
        ("iris@abc1", "iris@abc1"),
        (("iris", "abc1"), "iris@abc1"),
        ((None, "abc1"), "@abc1"),
        ({"name": "iris", "digest": "abc1"}, "iris@abc1"),
        (Dataset(), "iris@abc1"),
        ("iris\n@abc1", "iris @abc1"),
    ],
)
def test_evaluation_data_has_one_name(given: object, expected: str | None) -> None:
    assert dataset_name(given) == expected


@pytest.mark.parametrize("given", [1, ["iris"], {"name": "iris"}, ("iris", 5)])
def test_evaluation_data_without_a_digest_is_an_error(given: object) -> None:
    with pytest.raises(ValueError, match="name@digest"):
        dataset_name(given)


@pytest.mark.parametrize(
    ("lower", "expected"),
    [(True, True), (False, False), ("true", True), ("False", False), ("TRUE", True), (" false\n", False)],
)
def test_lower_is_a_bool_or_its_text_in_any_case(lower: bool | str, expected: bool) -> None:
    assert is_lower_better(lower) is expected


@pytest.mark.parametrize("lower", ["", "yes", "0", None, 1, 0.0])
def test_any_other_lower_is_an_error(lower: str) -> None:
    with pytest.raises(ValueError, match="must be True or False"):
        is_lower_better(lower)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0)])
def test_a_metric_is_any_scalar(value: object) -> None:
    assert as_number(value, "m") == 1.0


@pytest.mark.parametrize("value", [None, "high", [1.0], {}])
def test_a_metric_that_is_no_number_names_itself(value: object) -> None:
    with pytest.raises(ValueError, match=r"metric 'm'.*must be one number"):
        as_number(value, "m")


def test_get_combination_takes_one_of_each_list_in_order() -> None:
    assert get_combination([1, 2], ["a", "b"]) == [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]
    assert get_combination([1], [2], [3]) == [[1, 2, 3]]
    assert get_combination([1], []) == []
