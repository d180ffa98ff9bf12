"""A request as a form, and back: nothing is lost, and form and JSON never say different things."""

from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from api.examples import REQUEST
from api.ui.one_job.request_form import (
    MAPPINGS,
    NUMBERS,
    REST,
    TEXTS,
    Form,
    WrongForm,
    as_text,
    as_value,
    default_of,
    form_of,
    hint,
    place_of,
    request_of,
    sent_form,
    without_tokens,
)
from shared.requests.retrain_request import RetrainRequest, with_defaults

VALUES = [
    10,
    -3,
    0.5,
    1e20,
    True,
    False,
    "10",
    "0.5",
    "true",
    "null",
    "text",
    "",
    " x ",
    '"',
    '"a"',
    "a\nb",
    "\nb",
    "a\rb",
]
VALUES += ["NaN", "-Infinity", "[1]", "{}", "ünï", "1" * 5000, "[" * 5000, "10 ", "\t"]


def as_browser_sends(form: Form) -> MultiDict[str, str]:
    """What a browser makes of the form: line ends as in HTTP."""
    sent = [*form.texts.items(), (REST, form.rest)]
    for name in MAPPINGS:
        for key, value in form.mappings.get(name, []):
            sent += [(f"{name}-name", key), (f"{name}-value", value.replace("\n", "\r\n"))]
    return MultiDict([*sent, *((f"{name}-{part}", "") for name in MAPPINGS for part in ("name", "value"))])


def test_a_request_comes_back_from_its_form_as_it_was() -> None:
    request = with_defaults(RetrainRequest(**REQUEST).without_credentials()[0].as_record())
    body = request_of(sent_form(as_browser_sends(form_of(request))))
    assert with_defaults(RetrainRequest.model_validate(body).as_record()) == request


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_parameter_keeps_its_value_and_its_type(value: Any) -> None:
    found = sent_form(as_browser_sends(Form(mappings={"parameters": [("p", as_text(value))]})))
    parameters = request_of(found)["parameters"]
    assert parameters == {"p": value}
    assert type(parameters["p"]) is type(value)


def test_what_a_person_types_is_the_value_that_it_looks_like() -> None:
    typed = ["10", "0.5", "true", '"10"', "adam", "1e-3", "null", "[1, 2]", " 5"]
    assert [as_value(text) for text in typed] == [10, 0.5, True, "10", "adam", 0.001, "null", "[1, 2]", " 5"]


def test_an_empty_field_says_nothing() -> None:
    assert request_of(sent_form(MultiDict({"git_uri": " ", "priority": "", "rest": " \r\n "}))) == {}


def test_numbers_are_sent_as_numbers_and_other_texts_are_left_to_the_api_to_refuse() -> None:
    assert request_of(Form({"priority": "7", "gpus": "2"}, rest='{"resources": {"memory": "8g"}}')) == {
        "priority": 7,
        "resources": {"memory": "8g", "gpus": 2},
    }
    assert request_of(Form({"priority": "many", "gpus": "1.5"})) == {"priority": "many", "resources": {"gpus": "1.5"}}


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ('{"priority": 3}', "priority"),
        ('{"dataset_uri": "x", "labels": {}}', "dataset_uri, labels"),
        ('{"resources": {"gpus": 1}}', "resources.gpus"),
        ("[]", "must be a JSON object"),
        ('{"a": 1', "not JSON"),
        ('{"retry": {}, "retry": {}}', "twice"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_the_json_may_not_repeat_a_field_of_the_form(rest: str, said: str) -> None:
    with pytest.raises(WrongForm) as refused:
        request_of(Form({"priority": "5"}, rest=rest))
    [error] = refused.value.errors
    assert said in error.message
    assert place_of(error.pointer) == REST


def test_a_name_that_stands_twice_is_refused_beside_its_rows() -> None:
    with pytest.raises(WrongForm) as refused:
        request_of(Form(mappings={"parameters": [("a", "1"), ("b", "1"), ("a", "2")]}))
    assert [(place_of(each.pointer), each.message) for each in refused.value.errors] == [
        ("parameters", "parameters has 'a' twice")
    ]


@pytest.mark.parametrize(
    ("pointer", "place"),
    [
        ("/git_uri", "git_uri"),
        ("/parameters/al~1pha", "parameters"),
        ("/resources/gpus", "gpus"),
        ("/resources/memory", REST),
        ("/resources", REST),
        ("/what", REST),
        ("", REST),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(pointer: str, place: str) -> None:
    assert place_of(pointer) == place


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("https://ghp_s3cret@github.com/user/iris.git", "https://github.com/user/iris.git"),
        ("https://ann:pass/word@github.com/user/iris.git", ""),
        ("https://github.com/user/iris.git", "https://github.com/user/iris.git"),
        ("git@github.com:user/iris.git", "git@github.com:user/iris.git"),
        ("not an address", "not an address"),
    ],
)
def test_a_token_that_was_typed_is_not_shown_again(typed: str, shown: str) -> None:
    assert without_tokens(Form({"git_uri": typed})).texts == {"git_uri": shown}


def test_a_token_in_the_address_of_data_is_not_shown_again_either() -> None:
    found = without_tokens(Form({"dataset_repo": "https://ghp_s3cret@github.com/user/data.git@v2:iris"}))
    assert found.texts == {"dataset_repo": "https://github.com/user/data.git@v2:iris"}
    assert without_tokens(Form({"dataset_repo": "https://ann:a/b@c.example/data.git"})).texts == {"dataset_repo": ""}


def test_each_field_has_a_hint_that_the_api_gives() -> None:
    assert all(hint(name) for name in (*TEXTS, *NUMBERS, *MAPPINGS))
    assert (default_of("commit_hash"), default_of("priority"), default_of("model_name")) == ("main", "4", "")
