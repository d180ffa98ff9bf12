"""Writing a trigger: what is typed is checked, tried on the past, and saved; what is wrong is said beside it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from api.http.errors import FieldError, InvalidRequest, Refusal
from api.ui import definitions
from api.ui.asking import ask
from api.ui.backtests import DAYS, USUAL_DAYS, WORDS, Shown, days_of, try_on_the_past
from api.ui.page import page
from api.ui.pages.trigger import definition_of, is_of_file
from api.ui.rendering import render
from api.ui.trigger_words import OUTCOMES, policy_in_words, when_in_words
from api.views.triggers.trigger import add_trigger, check_trigger, get_trigger, put_trigger
from shared.access.roles import Right
from shared.errors import ModelOfAnotherTeam, TriggerChanged, TriggerExists

TOLD_BESIDE = (Refusal, ModelOfAnotherTeam, TriggerChanged, TriggerExists)
EXAMPLE = """\
name: iris-nightly
template:
  experiment_name: iris
  git_uri: https://github.com/user/iris.git
  model_name: iris-classifier
when:
  cron: 30 2 * * *
  time_zone: Europe/Berlin
policy:
  skip_if_same_inputs: true
"""


@dataclass(frozen=True)
class Typed:
    """What stands in the form, for a new trigger or for the one of that name and version."""

    definition: str
    days: str = str(USUAL_DAYS)
    name: str | None = None
    version: str = ""

    def body(self) -> dict[str, Any]:
        """Return the definition with its name; raise InvalidRequest for what cannot be read, or another's name."""
        found = definitions.read(self.definition)
        if self.name is not None and found.setdefault("name", self.name) != self.name:
            message = f"name cannot be changed: this trigger is {self.name!r}. Make a new one of the other name."
            raise InvalidRequest([FieldError("body", "/name", message, "NAME_CHANGED")])
        return found


@dataclass(frozen=True)
class Answered:
    """What came of what was pressed: a plan, a picture, the secret of a trigger that was made, or what is wrong."""

    plan: Mapping[str, Any] | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    picture: Shown | None = None
    secret: str | None = field(default=None, repr=False)
    wrong: Exception | None = None


@page("GET /triggers/-/new", needs=Right.OPERATE)
def new_trigger() -> str:
    """Show the form with an example, or with another trigger's definition (``like``)."""
    like = request.args.get("like")
    found = definitions.as_yaml(definition_of(_read(like))) if like else EXAMPLE
    return _form(Typed(found))


@page("POST /triggers/-/new", needs=Right.OPERATE)
def create_trigger() -> BaseResponse:
    """Do what was pressed: check, backtest or save."""
    return _answer(Typed(_typed(), request.form.get("days", "")), _create)


@page("GET /triggers/<name>/change", needs=Right.OPERATE)
def change_trigger(name: str) -> str:
    """Show the form with the trigger as it is."""
    found = _read(name)
    return _form(Typed(definitions.as_yaml(definition_of(found)), name=name, version=str(found["version"])), found)


@page("POST /triggers/<name>/change", needs=Right.OPERATE)
def save_trigger(name: str) -> BaseResponse:
    """Do what was pressed: check, backtest or save."""
    version = request.form.get("version", "")
    return _answer(Typed(_typed(), request.form.get("days", ""), name, version), _change, _read(name))


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = ask(get_trigger, path={"name": name})
    return found


def _typed() -> str:
    return request.form.get("definition", "").replace("\r\n", "\n")


def _answer(
    typed: Typed, save: Callable[[Typed], dict[str, Any]], recorded: Mapping[str, Any] | None = None
) -> BaseResponse:
    try:
        match request.form.get("act"):
            case "backtest":
                answered = Answered(picture=_backtest(typed, recorded))
            case "save":
                saved = save(typed)
                if saved["secret"] is None:
                    return redirect(url_for("ui.trigger", name=saved["name"], told="trigger-saved"), 303)
                return _shown(render("trigger_saved.html", trigger=saved))
            case _:
                body = typed.body()
                answered = Answered(plan=ask(check_trigger, body=body), body=body)
    except TOLD_BESIDE as error:
        return _shown(_form(typed, recorded, Answered(wrong=error)), _status_of(error))
    return _shown(_form(typed, recorded, answered))


def _create(typed: Typed) -> dict[str, Any]:
    saved: dict[str, Any] = ask(add_trigger, body=typed.body())
    return saved


def _change(typed: Typed) -> dict[str, Any]:
    body = {name: value for name, value in typed.body().items() if name != "name"}
    saved: dict[str, Any] = ask(
        put_trigger, path={"name": typed.name}, header={"If-Match": f'"{typed.version}"'}, body=body
    )
    return saved


def _backtest(typed: Typed, recorded: Mapping[str, Any] | None) -> Shown:
    body = typed.body()
    parts = {part: body[part] for part in ("template", "when", "policy") if part in body}
    others = {"as-it-is": recorded["policy"]} if recorded else {}
    return try_on_the_past(
        days_of({"days": typed.days}), own="as typed", trigger=body.get("name"), policies=others, **parts
    )


def _form(typed: Typed, recorded: Mapping[str, Any] | None = None, answered: Answered | None = None) -> str:
    return render(
        "trigger_form.html",
        typed=typed,
        answered=answered or Answered(),
        is_of_file=recorded is not None and is_of_file(recorded),
        source=recorded["source"] if recorded else None,
        is_changed=answered is not None and isinstance(answered.wrong, TriggerChanged),
        days=DAYS,
        in_words=when_in_words,
        rules_of=policy_in_words,
        outcomes=OUTCOMES,
        **WORDS,
    )


def _status_of(error: Exception) -> int:
    return int(error.status) if isinstance(error, Refusal) else 409


def _shown(html: str, status: int = 200) -> Response:
    return Response(html, status, mimetype="text/html")
