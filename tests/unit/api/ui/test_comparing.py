"""Two versions side by side: what differs, by how much, and whether that is better."""

from typing import Any

from api.ui.comparing import made_of, metrics_of, params_of


def version(**facts: Any) -> dict[str, Any]:
    return {"metrics": {}, "params": {}, "directions": {}, "job": None, **facts}


def test_a_metric_says_by_how_much_and_whether_that_is_better() -> None:
    directions = {"loss": "lower_is_better", "accuracy": "higher_is_better"}
    a = version(metrics={"accuracy": 0.9, "loss": 0.2, "f1": 1.0, "kept": 1.0})
    b = version(metrics={"accuracy": 0.8, "loss": 0.1, "f1": 0.5, "kept": 1.0}, directions=directions)
    told = [(each.name, each.difference, each.meaning) for each in metrics_of(a, b)]
    assert told == [
        ("accuracy", "-0.1", "worse"),
        ("loss", "-0.1", "better"),
        ("f1", "-0.5", ""),
        ("kept", "0", "the same"),
    ]


def test_a_metric_that_one_lacks_has_no_difference() -> None:
    [found] = metrics_of(version(metrics={"accuracy": 0.9}), version(metrics={"accuracy": None}))
    assert (found.a, found.b, found.difference, found.differs) == ("0.9", None, "", True)


def test_parameters_that_differ_come_first_and_a_job_s_own_are_there_if_the_run_has_none() -> None:
    a = version(params={"a": "1", "z": "1"}, job={"request": {"parameters": {"a": "9", "asked": True}}})
    b = version(params={"a": "1", "z": "2"})
    told = [(each.name, each.a, each.b) for each in params_of(a, b)]
    assert told == [("asked", "True", None), ("z", "1", "2"), ("a", "1", "1")]


def test_what_made_them_is_told_as_far_as_it_is_known() -> None:
    resolved = {"commit_sha": "a" * 40, "dataset": None, "base_model": None, "image": "python:3.11"}
    a = version(job={"request": {"git_uri": "https://github.com/user/iris.git"}, "resolved": resolved})
    told = {each.name: (each.a, each.b, each.differs) for each in made_of(a, version())}
    assert told["Commit"] == ("a" * 40, None, True)
    assert told["Digest of the data"] == (None, None, False)
