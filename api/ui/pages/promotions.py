"""One decision about a version of a model, and a person's answer to one that waits for it."""

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from api.ui.asking import ask
from api.ui.model_words import KINDS, STATES, said_of
from api.ui.page import page
from api.ui.rendering import render
from api.views.models.promotions import approve_promotion, get_promotion, reject_promotion
from shared.access.roles import Right
from shared.errors import PromotionSettled

TOLD = {"promoted": "approved", "not_promoted": "approved-too-late", "impossible": "approved-impossible"}


@page("GET /promotions/<promotion_id>")
def promotion(promotion_id: str) -> str:
    """Show the decision, what became of it, and the forms to answer it."""
    found = ask(get_promotion, path={"promotion_id": promotion_id})
    return render("promotion.html", promotion=found, said_of=said_of, states=STATES, kinds=KINDS)


@page("POST /promotions/<promotion_id>/approve", needs=Right.APPROVE)
def approve(promotion_id: str) -> Response:
    """Let the version become champion."""
    try:
        done = ask(approve_promotion, path={"promotion_id": promotion_id}, body=_reason())
    except PromotionSettled:
        return _back(promotion_id, "answered-before")
    return _back(promotion_id, TOLD.get(done["state"], "approved-soon"))


@page("POST /promotions/<promotion_id>/reject", needs=Right.APPROVE)
def reject(promotion_id: str) -> Response:
    """Refuse it."""
    try:
        ask(reject_promotion, path={"promotion_id": promotion_id}, body=_reason())
    except PromotionSettled:
        return _back(promotion_id, "answered-before")
    return _back(promotion_id, "rejected")


def _reason() -> dict[str, str]:
    return {"reason": request.form.get("reason", "")}


def _back(promotion_id: str, told: str) -> Response:
    return redirect(url_for("ui.promotion", promotion_id=promotion_id, told=told), 303)
