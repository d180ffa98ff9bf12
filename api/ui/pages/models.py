"""The registered models: who is champion, what waits for approval, and what happened to each."""

from typing import Any

from flask import request

from api.http.errors import ChampionUnknown, RegistryUnavailable
from api.operations.operation import Operation
from api.ui.asking import ask, own_query
from api.ui.git_pages import commit_page
from api.ui.model_words import KINDS, STATES, chart_of, said_of
from api.ui.page import page
from api.ui.rendering import render
from api.views.models.history import get_champion, get_history
from api.views.models.model import get_model, list_models
from api.views.models.observations import list_observations

MOST_MODELS = 200  # on the page; the filter finds the others
FEW = 10  # events, and observations, on a model's page
WORDS: dict[str, Any] = {"said_of": said_of, "kinds": KINDS, "states": STATES}


@page("GET /models")
def models() -> str:
    """Show all models, or those whose name has what is looked for."""
    found, is_recorded = _ask_or_recorded(list_models)
    wanted = request.args.get("name", "").strip().lower()
    matching = [each for each in found["models"] if wanted in each["name"].lower()]
    return render(
        "models.html",
        models=matching[:MOST_MODELS],
        left_out=max(0, len(matching) - MOST_MODELS),
        waiting=[(each["name"], one) for each in matching for one in each["waiting"]],
        is_recorded=is_recorded,
        **WORDS,
    )


@page("GET /models/<model>")
def model(model: str) -> str:
    """Show one: its versions, its champions, and what happened last."""
    found, is_recorded = _ask_or_recorded(get_model, path={"model": model})
    moves = ask(get_history, path={"model": model}, query={"alias": "champion", "limit": 200})["events"]
    champions = [each["version"] for each in moves if each["event"] == "moved"]
    for each in found["versions"]:
        each["commit_page"] = commit_page(each["git_uri"], each["commit_sha"])
    return render(
        "model.html",
        model=found,
        is_recorded=is_recorded,
        chart=chart_of(found["versions"], champions, found["champion"]),
        champions=champions,
        events=ask(get_history, path={"model": model}, query={"limit": FEW})["events"],
        observations=ask(list_observations, path={"model": model}, query={"limit": FEW})["observations"],
        then=_champion_then(model),
        **WORDS,
    )


@page("GET /models/<model>/history")
def history(model: str) -> str:
    """Show all that happened to it, a page at a time."""
    found = ask(get_history, path={"model": model}, query=own_query())
    return render("history.html", name=model, events=found["events"], next=found["next"], **WORDS)


def _ask_or_recorded(operation: Operation, **given: Any) -> tuple[Any, bool]:
    """Return the answer, and whether it is of our own record only, because MLflow does not answer."""
    try:
        return ask(operation, **given), False
    except RegistryUnavailable:
        return ask(operation, **given, query={"recorded": True}), True


def _champion_then(model: str) -> Any:
    """Return who was champion at the time in the address: a text if that is not known, None if there is no time."""
    at = request.args.get("at", "").strip()
    if not at:
        return None
    try:
        return ask(get_champion, path={"model": model}, query={"at": f"{at}:00Z" if len(at) == 16 else f"{at}Z"})
    except ChampionUnknown as unknown:
        return unknown.message
