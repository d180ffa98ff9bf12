"""One version of a model, making it the champion, and two versions side by side."""

from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.ui.asking import ask
from api.ui.comparing import made_of, metrics_of, params_of
from api.ui.git_pages import commit_page
from api.ui.model_words import STATES
from api.ui.page import page
from api.ui.rendering import render
from api.views.models.champion import set_champion
from api.views.models.model import get_model
from api.views.models.version import get_model_version
from shared.access.roles import Right
from shared.errors import NotChampion


@page("GET /models/<model>/versions/<version>")
def model_version(model: str, version: str) -> str:
    """Show what made it and how good it is, with the form that makes it the champion."""
    found = _version(model, version)
    return render("model_version.html", this=found, model=ask(get_model, path={"model": model}), states=STATES)


@page("POST /models/<model>/champion", needs=Right.APPROVE)
def make_champion(model: str) -> Response:
    """Make a version the champion, if the one that the page showed still is."""
    said = {name: request.form.get(name, "") for name in ("version", "reason", "instead_of")}
    try:
        done = ask(set_champion, path={"model": model}, body={**said, "instead_of": said["instead_of"] or None})
    except NotChampion:
        where = url_for("ui.model_version", model=model, version=said["version"], told="champion-changed")
        return redirect(where, 303)
    told = "champion-made" if done["changed"] else "champion-already"
    return redirect(url_for("ui.model", model=model, told=told), 303)


@page("GET /models/<model>/compare")
def compare(model: str) -> str:
    """Show two versions side by side: by default the champion and the newest."""
    found = ask(get_model, path={"model": model})
    numbers = [each["version"] for each in found["versions"]]
    a = request.args.get("a") or found["champion"] or (numbers[1:2] or numbers or [None])[0]
    b = request.args.get("b") or next((each for each in numbers if each != a), a)
    pair = [_version(model, each) for each in (a, b)] if a and b else []
    facts: dict[str, Any] = {"metrics": [], "params": [], "made": []}
    if pair:
        facts = {"metrics": metrics_of(*pair), "params": params_of(*pair), "made": made_of(*pair)}
    return render("compare.html", model=found, a=a, b=b, pair=pair, numbers=numbers, **facts)


def _version(model: str, version: str) -> Any:
    found = ask(get_model_version, path={"model": model, "version": version})
    return {**found, "commit_page": commit_page(found["git_uri"], found["commit_sha"])}
