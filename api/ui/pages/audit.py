"""Who did what: the audit, with its filters in the address."""

from flask import request

from api.ui.asking import ask, own_query
from api.ui.page import page
from api.ui.rendering import render
from api.ui.sent import in_utc
from api.views.audit import list_audit
from shared.access.audit import Outcome
from shared.access.roles import Right


@page("GET /audit", needs=Right.ADMINISTER)
def audit() -> str:
    """Show the entries that the address's filters match, the newest first."""
    times = {name: in_utc(request.args[name]) for name in ("since", "until") if request.args.get(name)}
    found = ask(list_audit, query=own_query(**times))
    return render("audit.html", entries=found["entries"], next=found["next"], outcomes=[*Outcome])
