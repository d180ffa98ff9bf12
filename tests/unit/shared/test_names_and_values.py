"""Names and values that git and MLflow take are taken; of another one, the refusal names the character."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_model_name, _validate_param_name

from tests.support.retrain_requests import parse, refused


def told(**fields: object) -> str:
    [error] = refused(**fields).errors()
    return error["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("ref", "what"),
    [
        ("main~1", "'~'"),
        ("v1^{}", "'^'"),
        ("a:b", "':'"),
        ("what?", "'?'"),
        ("a*", "'*'"),
        ("a[1]", "'['"),
        ("a\\b", "'\\'"),
        ("a b", "a space"),
        (" main", "a space"),
        ("main\n", "a line break"),
        ("a\tb", "a tab"),
        ("a\x07b", "U+0007"),
        ("a..b", "'..'"),
        ("a@{1}", "'@{'"),
        ("-f", "'-' at its beginning"),
        ("@", "'@' alone"),
        ("a/", "'/' at its end"),
        ("a.lock", "'.lock' at its end"),
        ("", "is empty"),
    ],
)
def test_a_ref_that_git_has_not_is_refused_with_the_character_named(ref: str, what: str) -> None:
    assert what in told(commit_hash=ref)
    assert "SHA" in told(commit_hash=ref)


@pytest.mark.parametrize("name", ["team/iris", "iris:v2", ".", "..", "  ", "..iris", "a/b:c"])
def test_a_model_name_that_the_registry_refuses_is_refused_before_any_training(name: str) -> None:
    with pytest.raises(MlflowException):
        _validate_model_name(name)
    assert "registry" in told(model_name=name)


@pytest.mark.parametrize("name", ["iris", "Iris v2 (größe)", "a.b", "a,b", "-x", "#1", "it's"])
def test_a_model_name_that_the_registry_takes_is_taken(name: str) -> None:
    _validate_model_name(name)
    assert parse(model_name=name).model_name == name


def test_a_refused_model_name_comes_with_one_that_is_taken() -> None:
    message = told(model_name="team/iris:v2")
    assert "has '/'" in message
    advised = message.rpartition(" as in ")[2]
    assert parse(model_name=advised).model_name == advised == "team-iris-v2"
    assert told(model_name="/").endswith("use another character")


@pytest.mark.parametrize(
    "name", ["3d_mode", "größe", "a.b", "model.depth", "learning rate", "a/b", "a:b", "_x", "x" * 250]
)
def test_a_parameter_may_have_any_name_that_mlflow_takes(name: str) -> None:
    _validate_param_name(name)  # type: ignore[no-untyped-call]
    assert parse(parameters={name: 1}).parameters == {name: 1}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a=b", "has '='"),
        ("a\nb", "has a line break"),
        ("$(id)", "has '$'"),
        ("a;b", "has ';'"),
        ("-x", "begins with '-'"),
        ("", "at least 1"),
        ("x" * 251, "at most 250"),
        ("--x", "begins with '-'"),
        ("../x", "path"),
        ("a//b", "path"),
        (".", "path"),
    ],
)
def test_another_name_of_a_parameter_is_refused_with_what_is_wrong_with_it(name: str, what: str) -> None:
    assert what in told(parameters={name: 1})


@given(st.text(st.sampled_from("aö3_.-:/ =$"), min_size=1, max_size=6))
def test_no_name_of_a_parameter_is_taken_that_mlflow_would_refuse_after_the_start(name: str) -> None:
    try:
        _validate_param_name(name)  # type: ignore[no-untyped-call]
    except MlflowException:
        assert told(parameters={name: 1})
    else:
        assert posixpath.normpath(name) == name


@pytest.mark.parametrize(
    "value", ["SELECT x\nFROM t\n", "col1\tcol2", "a\r\nb", '{\n  "a": 1\n}', "žluťoučký\n測試 🙂"]
)
def test_a_value_may_have_lines_and_tabs(value: str) -> None:
    assert parse(parameters={"a": value}).parameters == {"a": value}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("a\x1b[31m", "an escape character at character 2"),
        ("a\0", "a NUL character at character 2"),
        ("\x07", "U+0007"),
        ("half \ud800", "half of a character"),
        (None, "leave it out for the project's default"),
        ([64, 32], "is a list; send it as the text"),
        ({"a": 1}, "is an object; send it as the text"),
        (float("nan"), "send it as a text, such as 'nan'"),
        (float("-inf"), "send it as a text"),
    ],
    ids=repr,
)
def test_what_is_no_value_is_refused_in_one_sentence_that_says_what_to_send(value: object, what: str) -> None:
    assert what in told(parameters={"a": value})
