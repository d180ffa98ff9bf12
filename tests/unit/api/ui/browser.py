"""A browser as the tests of pages need it: it keeps cookies, and fills in forms with what the page put into them."""

import re
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

FORM_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def form_token(page: TestResponse) -> str:
    """Return what the page's forms send along."""
    found = FORM_TOKEN.search(page.text)
    assert found, page.text
    return found[1]


def sign_in(client: FlaskClient, token: str, **fields: str) -> TestResponse:
    """Enter the token, as a person does."""
    page = client.get("/ui/sign-in")
    return client.post("/ui/sign-in", data={"csrf": form_token(page), "token": token, **fields})


def press(client: FlaskClient, on: str, action: str, **fields: Any) -> TestResponse:
    """Send a form of the page ``on`` to the address ``action``, and return what comes at once."""
    return client.post(action, data={"csrf": form_token(client.get(on)), **fields})
