"""Keeps a cookie in each browser, and makes of it what shows that a form is one of our own pages'.

Once somebody has signed in, the cookie is that of the session (api.access.signed_in).
"""

import hashlib
import hmac

from flask import Response, g, request

from api.access.signed_in import COOKIE
from api.http.errors import ForeignPage
from shared.access.sessions import new_cookie

FIELD = "csrf"


def form_token() -> str:
    """Return what each form of this browser has to send along; other sites can neither read nor guess it."""
    return hmac.new(_cookie().encode(), b"form", hashlib.sha256).hexdigest()


def require_own_form() -> None:
    """Raise ForeignPage unless a page of ours, in the same browser, sends this."""
    sent = request.form.get(FIELD, "")
    if COOKIE not in request.cookies or not hmac.compare_digest(sent.encode(), form_token().encode()):
        raise ForeignPage("This form was not sent by a page of this service, or its session is over. Load it again.")


def begin(response: Response, cookie: str) -> Response:
    """Have the browser keep this cookie, and send it to our pages only."""
    path = f"{request.script_root}/ui"
    # Lax, not Strict: or whoever follows a link in an alert would have to sign in again.
    response.set_cookie(COOKIE, cookie, path=path, secure=request.is_secure, httponly=True, samesite="Lax")
    return response


def forget(response: Response) -> Response:
    """Have the browser forget its cookie."""
    response.delete_cookie(COOKIE, path=f"{request.script_root}/ui", httponly=True, samesite="Lax")
    return response


def keep(response: Response) -> Response:
    """Send the cookie with which this page's forms were made, if the browser has none yet."""
    return begin(response, g.visit) if "visit" in g else response


def _cookie() -> str:
    if sent := request.cookies.get(COOKIE):
        return sent
    if "visit" not in g:
        g.visit = new_cookie()
    visit: str = g.visit
    return visit
