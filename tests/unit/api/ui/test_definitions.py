"""What people type as YAML or JSON."""

import pytest

from api.http.errors import InvalidRequest, Refusal
from api.ui import definitions


def test_yaml_and_json_say_the_same() -> None:
    assert definitions.read("a: {b: [1, x]}") == definitions.read('{"a": {"b": [1, "x"]}}') == {"a": {"b": [1, "x"]}}


def test_what_is_written_can_be_read_again() -> None:
    value = {"name": "ü", "when": {"cron": "30 2 * * *"}, "on": ["yes", "0x10", "2030-01-01"]}
    assert definitions.read(definitions.as_yaml(value)) == definitions.read(definitions.as_json(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        '{"a": ',
        "- 1",
        "a: 2030-01-01",
        "[" * 5000,
        "a: &a [1]\nb: *a",
        "a: !!python/object/apply:os.system [true]",
        "x" * 65_000,
        "a: .nan",
        "? [1]\n: 2",
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        definitions.read(text)


def test_where_it_breaks_is_said() -> None:
    with pytest.raises(InvalidRequest, match="line 2"):
        definitions.read("a: 1\n b: 2")


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    with pytest.raises(InvalidRequest, match="alias"):
        definitions.read("\n".join(lines))
