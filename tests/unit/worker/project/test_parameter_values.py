"""A parameter's value, by its type: how it reaches the command, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Code, UserError
from tests.unit.worker.project.rendering import entry_point, rendered, shell
from worker.project.entry_points import render
from worker.project.parameter_values import SHOWN_CHARACTERS, ParameterValue


@pytest.mark.parametrize(
    ("value", "text"), [(True, "True"), (1, "True"), (1.0, "True"), (False, "False"), (0, "False")]
)
def test_a_json_value_for_a_bool_reaches_the_command_as_python_writes_it(value: ParameterValue, text: str) -> None:
    assert rendered("bool", value) == text


@pytest.mark.parametrize("text", ["True", "true", "TRUE", "1", "yes", "False", "false", "0", "no"])
def test_a_text_for_a_bool_reaches_the_command_as_it_is(text: str) -> None:
    assert rendered("bool", text) == text


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("int", 3, "3"),
        ("int", "3", "3"),
        ("int", 3.0, "3"),
        ("float", 3, "3"),
        ("float", "1e-3", "1e-3"),
        ("float", 0.1, "0.1"),
        ("string", True, "True"),
        ("string", 1.5, "1.5"),
        ("string", "", ""),
        ("no such type", "as it is", "as it is"),
        ("uri", "s3://bucket/key", "s3://bucket/key"),
        ("uri", "runs:/abc/model", "runs:/abc/model"),
        ("path", "data/train.csv", "data/train.csv"),
        ("path", "data/../train.csv", "data/../train.csv"),
        ("path", "/data/train.csv", "/data/train.csv"),
        ("path", "file:///data/a%20b.csv", "/data/a b.csv"),
        ("path", "-rf", "./-rf"),
        ("string", "SELECT x\r\nFROM t\n", "SELECT x\r\nFROM t\n"),
        ("string", "a\tb", "a\tb"),
    ],
)
def test_a_value_of_its_type_reaches_the_command(type_: str, value: ParameterValue, text: str) -> None:
    assert rendered(type_, value) == text


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("int", 3.5),
        ("int", "3.5"),
        ("int", "three"),
        ("int", True),
        ("float", "fast"),
        ("float", False),
        ("bool", "maybe"),
        ("bool", 2),
        ("uri", "not a uri"),
        ("uri", "http://[broken"),
        ("path", "../outside"),
        ("path", "data/../../outside"),
        ("path", ".."),
        ("path", ""),
        ("path", "file:///data/a%00b"),
        ("string", "an \x1b escape"),
        ("string", "nul\0"),
        ("string", "half \ud800"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(type_: str, value: ParameterValue) -> None:
    with pytest.raises(UserError) as caught:
        rendered(type_, value)
    assert caught.value.code is Code.INVALID_PARAMETER
    assert caught.value.facts["parameter"] == "value"
    assert caught.value.facts["type"] == type_
    assert repr(value) in caught.value.message


@pytest.mark.parametrize(("type_", "wanted"), [("int", "it must be a whole number"), ("float", "it must be a number")])
def test_a_refused_number_says_what_it_must_be(type_: str, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        rendered(type_, "many")


def test_a_refused_value_is_shown_in_part_only() -> None:
    with pytest.raises(UserError) as caught:
        rendered("int", "x" * 6000)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "value",
    [
        "x; touch pwned",
        "$(touch pwned)",
        "`touch pwned`",
        "'; touch pwned; '",
        "&& touch pwned",
        "x\ntouch pwned",
        "x\ttouch pwned\n",
        "'\ntouch pwned\n'",
        "\\\ntouch pwned",
    ],
)
def test_a_value_is_never_a_command(tmp_path: Path, value: str) -> None:
    command = render(entry_point("printf '%s\\n' {value}", value="string"), {"value": value, "k": value}).command
    assert shell(command, tmp_path) == f"{value}\n--k\n{value}\n"
    assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t")))
def test_any_text_comes_through_a_shell_unchanged(value: str) -> None:
    command = render(entry_point("printf %s {value}", value="string"), {"value": value}).command
    assert shell(command, Path("/")) == value


def test_a_value_is_shown_whole_up_to_a_hundred_characters() -> None:
    whole = "x" * (SHOWN_CHARACTERS - 2)  # repr adds two quotes
    with pytest.raises(UserError, match=f"'{whole}'(?!…)"):
        rendered("int", whole)


def test_a_path_with_a_question_mark_is_a_path() -> None:
    assert rendered("path", "data?x/part.csv") == "data?x/part.csv"
