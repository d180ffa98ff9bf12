"""An operation is one decorated view: its route, reading, checks, answers and documentation follow from that."""

from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import BaseModel, Field

from api.access.authorisation import remember_caller
from api.http import problems
from api.http.errors import NoAlertChannel
from api.http.json_request import JsonRequest
from api.http.models import AnswerBody, Query, RequestBody
from api.openapi.document import document
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.views import operations
from api.views.jobs import job, logs
from shared.access.callers import MACHINE
from shared.access.roles import Right
from shared.secrets.redactor import Redactor


class ShelfPath(BaseModel):
    shelf: int = Field(description="Its number.")


class Filters(Query):
    color: list[str] = Field(default_factory=list, description="Any of these.")
    limit: int = Field(5, le=9)


class Marks(BaseModel):
    mark: str | None = Field(None, alias="X-Mark")


class NewBook(RequestBody):
    title: str = "untitled"


class Book(AnswerBody):
    title: str
    facts: tuple[str, ...]


@operation(
    "POST /shelves/<shelf>/books",
    Answer("The book.", Book, HTTPStatus.CREATED, {"X-Mark": "Yours."}),
    tag=Tag.HEALTH,
    needs=Right.SUBMIT,
    raises=[NoAlertChannel],
)
def put_book(path: ShelfPath, query: Filters, header: Marks, body: NewBook) -> Book:
    """Put a book there.

    It stays.
    """
    if body.title == "none":
        raise NoAlertChannel("It goes nowhere.")
    return Book(title=body.title, facts=(str(path.shelf), *query.color, str(query.limit), str(header.mark)))


@operation("GET /open", Answer("It is.", media_types=("text/plain",)), tag=Tag.HEALTH, needs=None)
def is_open() -> Book:
    """Is it open?

    Perhaps.
    """
    return Book(title="open", facts=())


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("shelves")
    app.request_class = JsonRequest
    app.before_request(lambda: remember_caller(MACHINE))
    problems.register(app, Redactor())
    app.add_url_rule(put_book.path, endpoint=put_book.id, view_func=put_book, methods=[put_book.method])
    return app.test_client()


BOOKS = "/shelves/3/books"
DESCRIBED = document([put_book, is_open])
PUT = DESCRIBED["paths"]["/shelves/{shelf}/books"]["post"]


def test_each_part_of_the_request_reaches_the_view_as_its_model(client: FlaskClient) -> None:
    answer = client.post(f"{BOOKS}?color=red&color=blue&limit=7", json={"title": "a"}, headers={"X-Mark": "m"})
    assert (answer.status_code, answer.json) == (201, {"title": "a", "facts": ["3", "red", "blue", "7", "m"]})


def test_what_is_left_out_has_its_default(client: FlaskClient) -> None:
    assert client.post(BOOKS).json == {"title": "untitled", "facts": ["3", "5", "None"]}


@pytest.mark.parametrize(
    ("query", "body", "place", "message"),
    [
        ("limt=1", {}, "query", "limt is unknown; did you mean limit?"),
        ("limit=10", {}, "query", "limit: should be less than or equal to 9"),
        ("", {"titel": "a"}, "body", "titel is unknown; did you mean title?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    client: FlaskClient, query: str, body: dict[str, str], place: str, message: str
) -> None:
    [error] = (client.post(f"{BOOKS}?{query}", json=body).json or {})["errors"]
    assert (error["in"], error["message"]) == (place, message)


def test_a_path_that_its_model_does_not_take_leads_nowhere(client: FlaskClient) -> None:
    assert client.post("/shelves/top/books").status_code == 404


def test_the_document_says_what_the_view_takes() -> None:
    taken = {(each["in"], each["name"]): each["required"] for each in PUT["parameters"]}
    assert taken == {
        ("header", "X-Mark"): False,
        ("path", "shelf"): True,
        ("query", "color"): False,
        ("query", "limit"): False,
    }
    assert PUT["requestBody"]["required"] is False
    assert (PUT["operationId"], PUT["summary"], PUT["description"]) == ("putBook", "Put a book there.", "It stays.")
    assert set(DESCRIBED["components"]["schemas"]) == {"NewBook", "Book", "Problem", "FieldError"}


def test_the_document_says_how_it_may_be_refused() -> None:
    assert list(PUT["responses"]) == ["201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"]
    conflict = PUT["responses"]["409"]
    assert conflict["description"] == NoAlertChannel.__doc__
    assert conflict["content"]["application/problem+json"]["example"]["code"] == "NO_ALERT_CHANNEL"
    assert PUT["responses"]["503"]["headers"].keys() == {"Retry-After", "X-Request-Id"}
    assert PUT["responses"]["201"]["headers"].keys() == {"X-Mark", "X-Request-Id"}


def test_an_open_operation_asks_for_no_token_and_refuses_only_those_who_ask_too_often() -> None:
    described = DESCRIBED["paths"]["/open"]["get"]
    assert "security" not in described
    assert list(described["responses"]) == ["200", "429"]


def test_a_view_may_take_nothing_else() -> None:
    def strange(cookie: Marks) -> Book:
        """Take a cookie."""
        return Book(title="", facts=())

    with pytest.raises(TypeError, match="strange takes cookie"):
        operation("GET /strange", Answer("No."), tag=Tag.HEALTH, needs=None)(strange)


def test_every_operation_of_the_views_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "get_job", job.get_job, raising=False)  # as where a view imports another's
    found = [(each.method, each.path) for each in operations()]
    assert len(found) == len(set(found))
    assert ("POST", "/retrain") in found
