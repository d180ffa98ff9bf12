"""Asks for every page as a caller of each role, with whatever may be in an address, a query and a form.

The pages are not in the API's document, so these requests are made here: of the app's own routes, of the names of
fields in templates and operations, and of values that fit and that do not.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_from_bytes

from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

import api.ui
from api.ui.pages import found_pages
from tests.fuzz.site import Site
from tests.unit.api.ui.browser import form_token, sign_in

TEMPLATES = Path(api.ui.__file__).with_name("templates")
NAME_OF_FIELD = re.compile(r'name="(\w+)"')
PART = re.compile(r"<(?:\w+:)?(\w+)>")
FORM = "application/x-www-form-urlencoded"
HTML, STREAM = "text/html", "text/event-stream"
TYPES = st.sampled_from((*[FORM] * 12, "multipart/form-data; boundary=x", "application/json", "text/plain"))
LAST = ("/delete", "/sign-out")  # after which there is no trigger, and nobody is signed in any more
BODY = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git", "model_name": "iris"}
TRIGGER = {"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}
OF_PART = {"name": "nightly", "model": "iris", "host": "fuzz", "version": "1"}
# fmt: off
WORDS = (
    "iris", "nightly", "fuzz", "champion", "1", "2", "-", "on", "true", "queued", "failed", "model", "month", "2026-01",
    "jobs", "again", "cron: '* * * * *'", "{}", "[]", "null", "a=b", "2026-01-01T00:00:00Z",
)
HOSTILE = (
    "", " ", "0", "-1", "9" * 400, "1e999", "NaN", "1.5", "true\n", "\x00", "\r\nSet-Cookie: a=b", "\u202e", "\ufffe",
    "../../etc/passwd", "%00", "{{7*7}}", "<script>", "' OR 1=1 --", "%", "_", "a" * 20_000, "[" * 5000, "- &a [*a]",
    "0000-01", "9999-12", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "//example.com", "\\", "javascript:1",
)
# fmt: on


@dataclass(frozen=True)
class Asked:
    """One request, percent-encoded, so that it may hold any bytes."""

    path: str
    query: str = ""
    form: str = ""
    content_type: str = FORM


def rules_of(site: Site) -> Sequence[Rule]:
    """Return the routes of all pages, those that leave nothing to ask for at the end."""
    found = [each for each in site.app.url_map.iter_rules() if each.rule.startswith("/ui")]
    return sorted(found, key=lambda each: (*map(each.rule.endswith, LAST[::-1]), each.rule, sorted(each.methods or ())))


def ask_all_pages(site: Site, *, names: Sequence[str] | None, examples: int, number: int) -> int:
    """Ask for each page so many times; return how many answers there were. Raises AssertionError with the request."""
    known = {**OF_PART, "job_id": _fill(site)}
    browsers = {name: _enter(site, site.callers[name]) for name in names or site.callers}
    fields, asked = _fields(site), 0
    values = _texts([*known.values(), *WORDS], HOSTILE)
    for rule in rules_of(site):
        parts = _texts_of(rule, known, values)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            pairs = _pairs(_own_fields(rule, method, fields), fields, values)
            for name, (browser, csrf) in browsers.items():
                own = st.sampled_from((*[f"csrf={csrf}&"] * 8, ""))
                requests = st.builds(Asked, parts, pairs, st.tuples(own, pairs).map("".join), TYPES)
                _repeat(_asking(browser, method, name), requests, examples=examples, number=number)
                asked += examples
    return asked


def wrong_with(answer: TestResponse, method: str) -> str | None:
    """Return what no answer of a page may be."""
    if answer.status_code >= 500:
        return f"a {answer.status_code}"
    if answer.mimetype == STREAM:
        return None
    text = answer.get_data(as_text=True)
    if "Traceback (most recent call last)" in text:
        return "a stack trace"
    if answer.status_code >= 400 and answer.mimetype != HTML:
        return f"a {answer.status_code} as {answer.mimetype}, not a page"
    if method == "POST" and answer.mimetype != HTML:
        return f"{answer.mimetype} as the answer to a form"
    return None


def _asking(browser: FlaskClient, method: str, name: str) -> Callable[[Asked], None]:
    def ask(asked: Asked) -> None:
        body = {"data": asked.form.encode(), "content_type": asked.content_type} if method == "POST" else {}
        answer = browser.open(asked.path, method=method, query_string=asked.query, **body)  # type: ignore[arg-type]
        wrong = wrong_with(answer, method)
        answer.close()
        assert wrong is None, f"{name} got {wrong}: {method} {asked}"

    return ask


def _repeat(ask: Callable[[Asked], None], requests: st.SearchStrategy[Asked], *, examples: int, number: int) -> None:
    phases = (Phase.generate, Phase.shrink)
    limits = settings(
        max_examples=examples, deadline=None, database=None, phases=phases, suppress_health_check=[*HealthCheck]
    )
    seed(number)(limits(given(requests)(ask)))()


def _texts_of(rule: Rule, known: Mapping[str, str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return addresses of the rule; each part is of something that there is, half of the time."""
    names = PART.findall(rule.rule)
    parts = st.tuples(*(st.one_of(st.just(known.get(name, "1")), values.filter(bool)) for name in names))
    return parts.map(lambda found: _filled(rule, found))


def _filled(rule: Rule, parts: Sequence[str]) -> str:
    left = iter(parts)
    return PART.sub(lambda _: next(left), rule.rule)


def _pairs(own: Sequence[str], others: Sequence[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.one_of(*([st.sampled_from(own)] * 3 if own else []), st.sampled_from(others))
    pairs = st.tuples(names, values).map("=".join)
    return st.lists(pairs, max_size=8).map("&".join)


def _texts(known: Sequence[str], hostile: Sequence[str]) -> st.SearchStrategy[str]:
    fitting, others = (st.sampled_from(each).map(lambda text: quote(text, safe="")) for each in (known, hostile))
    anything = st.text(max_size=20).map(lambda text: quote(text.encode(errors="replace"), safe=""))
    raw = st.binary(max_size=8).map(lambda value: quote_from_bytes(value, ""))
    return st.one_of(fitting, fitting, others, anything, raw)


def _own_fields(rule: Rule, method: str, fields: Sequence[str]) -> Sequence[str]:
    """Return the fields that the module of the page names."""
    for each in found_pages():
        if f"/ui{each.path}" == rule.rule and each.method == method:
            source = inspect.getsource(sys.modules[each.view.__module__])
            return [name for name in fields if f'"{name}"' in source]
    return ()


def _fields(site: Site) -> Sequence[str]:
    """Return the names of fields in forms, and of what operations are asked by."""
    templates = TEMPLATES.rglob("*.html")
    named = {name for file in templates for name in NAME_OF_FIELD.findall(file.read_text())}
    document = (site.app.test_client().get("/openapi.json").json or {})["paths"]
    asked = {
        each["name"]
        for methods in document.values()
        for operation in methods.values()
        for each in operation.get("parameters", ())
        if each.get("in") == "query"
    }
    return sorted((named | asked) - {"csrf"})


def _fill(site: Site) -> str:
    """Let there be something of each kind; return a job's id."""
    client, headers = site.app.test_client(), site.callers["admin"]
    job = client.post("/retrain", json=BODY, headers=headers)
    trigger = client.post("/triggers", json=TRIGGER, headers=headers)
    assert (job.status_code, trigger.status_code) == (202, 201), (job.text, trigger.text)
    return str((job.json or {})["id"])


def _enter(site: Site, headers: Mapping[str, str]) -> tuple[FlaskClient, str]:
    """Return a browser of this caller, and the token that its forms send."""
    browser = site.app.test_client()
    if token := headers.get("Authorization", "").removeprefix("Bearer "):
        entered = sign_in(browser, token)
        assert entered.status_code == 303, entered.text
        return browser, form_token(browser.get("/ui/jobs"))
    return browser, form_token(browser.get("/ui/sign-in"))
