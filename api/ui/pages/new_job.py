"""A form for a new job: empty, or with the request of another one to change."""

import hashlib
import json
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from flask import Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from api.http.errors import FieldError, InvalidRequest
from api.http.problems import BUG, kind_of
from api.ui.asking import ask
from api.ui.one_job import request_form
from api.ui.one_job.request_form import Form, WrongForm
from api.ui.page import page
from api.ui.rendering import render
from api.views.jobs.job import get_job
from api.views.jobs.retrain import retrain
from shared.access.roles import Right
from shared.errors import RetrainError

MORE_ROWS = 10


@page("GET /new", needs=Right.SUBMIT)
def new() -> str:
    """Show an empty form."""
    return _shown(Form())


@page("GET /jobs/<job_id>/again", needs=Right.SUBMIT)
def again(job_id: str) -> str:
    """Show the form with a job's request in it."""
    job = ask(get_job, path={"job_id": job_id})
    return _shown(request_form.form_of(job["request"]), job)


@page("POST /new", needs=Right.SUBMIT)
def submit_new() -> str | BaseResponse:
    """Submit what is in the form; or show it again with what is wrong."""
    form = request_form.sent_form(request.form)
    if request.form.get("more"):
        return _shown(request_form.without_tokens(form), _origin(), spare=MORE_ROWS)
    try:
        body = request_form.request_of(form)
        made = ask(retrain, header={"Idempotency-Key": _key(body)}, body=body)
    except (InvalidRequest, WrongForm) as error:
        return _refused(form, error.errors, 422)
    except RetrainError as error:
        if (kind := kind_of(type(error))) is BUG:
            raise
        return _refused(form, [FieldError("body", "", error.message, kind.code)], kind.status)
    return redirect(url_for("ui.job", job_id=made["id"], told="submitted"), 303)


def _refused(form: Form, errors: Any, status: int) -> Response:
    places: dict[str, list[str]] = {}
    for each in errors:
        places.setdefault(request_form.place_of(each.pointer), []).append(each.message)
    shown = request_form.without_tokens(form)
    is_token_gone = shown.texts != form.texts
    return Response(_shown(shown, _origin(), errors=places, is_token_gone=is_token_gone), status, mimetype="text/html")


def _shown(form: Form, job: Mapping[str, Any] | None = None, **facts: Any) -> str:
    once = request.form.get("once") or token_hex(16)
    return render("new_job.html", form=form, job=job, fields=request_form, once=once, **facts)


def _origin() -> Any:
    """Return the job whose request is being changed, if the form says that there is one."""
    sent = request.form.get("of", "")
    return ask(get_job, path={"job_id": sent}) if sent else None


def _key(body: Mapping[str, Any]) -> str:
    """Return an Idempotency-Key of this form and what is in it: pressed twice, it makes one job."""
    told = json.dumps([request.form.get("once", ""), body], sort_keys=True)
    return f"page {hashlib.sha256(told.encode()).hexdigest()}"
