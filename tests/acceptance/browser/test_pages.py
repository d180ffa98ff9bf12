"""What holds for every page in a real browser, also for those that come later.

axe-core looks at each, light and dark, on a wide screen and on a phone.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Dialog, Page, ViewportSize

from api.ui.pages import found_pages
from tests.acceptance.browser.filled import HOST, MODEL, SHOWN, TRIGGER, Filled, filled_api
from tests.acceptance.browser.test_docs_page import keep_inside

VENDOR = Path(__file__).parent / "vendor"
AXE = VENDOR / "axe-4.14.1.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"  # as in the package axe-core of npm
WIDE, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=360, height=740)
GETS = sorted((each for each in found_pages() if each.method == "GET"), key=lambda each: each.path)
PAGES = [each.path for each in GETS if each.view.__annotations__["return"] in (str, "str")]
OTHERS = [each.path for each in GETS if each.path not in PAGES]
NAME = re.compile(r"<(?:[a-z]+:)?(\w+)>")
JOBS_SHOWN = ("succeeded", "failed", "retry_wait", "running", "queued", "hostile")
NOTES_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (report) =>
  window.violations.push(`${report.violatedDirective} ${report.blockedURI}`));
"""
LOOK = """async () => {
  for (const _ of [1, 2]) await new Promise(requestAnimationFrame); // what follows a change of the window's size
  const rules = { "target-size": { enabled: true } }; // WCAG 2.2, which axe leaves to whoever asks
  const { violations } = await axe.run(document, { resultTypes: ["violations"], rules });
  const nodes = (each) => each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ");
  return violations.map((each) => `${each.id}: ${each.help}: ${nodes(each)}`);
}"""
COLLECT_STOPS = """() => {
  const named = new Set();
  window.stops = [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((each) => {
    if (each.disabled || !each.checkVisibility({ visibilityProperty: true }) || each.closest("[inert]")) return false;
    if (each.type === "radio") { const is_known = named.has(each.name); named.add(each.name); return !is_known; }
    return true;
  });
  return window.stops.length;
}"""
NEXT_STOP = """() => {
  const here = document.activeElement;
  if (here === document.body || here === null) return null;
  const style = getComputedStyle(here);
  const is_of_parts = here.matches("[type=date], [type=time], [type=datetime-local], [type=month]"); // shows its parts
  const is_seen = is_of_parts || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return [window.stops.indexOf(here), is_seen, here.outerHTML.slice(0, 150)];
}"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_api(tmp_path_factory.mktemp("pages")) as up:
        yield up


def address_of(path: str, filled: Filled, job: str = "failed") -> str:
    names = {
        "job_id": filled.jobs[job],
        "host": HOST,
        "model": MODEL,
        "trigger": TRIGGER,
        "version": "2",
        "number": "1",
    }
    names["promotion_id"] = filled.promotion
    names["name"] = TRIGGER if path.startswith("/triggers") else MODEL
    return f"{filled.api.url}/ui{NAME.sub(lambda found: names[found[1]], path)}"


def shown(page: Page, address: str) -> list[str]:
    """Open the page; return what the browser complained about, now or later."""
    wrong = keep_inside(page)

    def refuse(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)
    page.add_init_script(NOTES_VIOLATIONS)
    page.set_viewport_size(WIDE)
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, page.inner_text("body")[:500]
    return wrong


def violations(page: Page) -> list[str]:
    found: list[str] = page.evaluate(LOOK)
    return found


SPECIAL = {"/jobs/<job_id>/kill": "running", "/jobs/<job_id>/metrics": "running"}
EVERY = [
    *((path, SPECIAL.get(path, "failed")) for path in PAGES),
    *(("/jobs/<job_id>", job) for job in JOBS_SHOWN if job != "failed"),
]


@pytest.mark.parametrize(("path", "job"), EVERY)
def test_a_page_is_sound_accessible_and_fits_on_a_phone_in_light_and_dark(
    page: Page, filled: Filled, path: str, job: str
) -> None:
    wrong = shown(page, address_of(path, filled, job))
    found: dict[str, Any] = {"CSP": page.evaluate("window.violations")}
    page.evaluate(AXE.read_text())
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            found[f"{colours}, {size['width']} px"] = violations(page)
    found["wider than a phone"] = page.evaluate(
        "[...document.querySelectorAll('body *')].filter(() => document.documentElement.scrollWidth > 360).filter("
        "(each) => each.getBoundingClientRect().right > 361).slice(0, 3).map((each) => each.outerHTML.slice(0, 150))"
    )
    found["run"] = page.evaluate("document.querySelectorAll('main script:not([src]), img[src=x]').length") or None
    assert {name: each for name, each in found.items() if each} == {}
    assert wrong == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_used_by_keyboard_alone(page: Page, filled: Filled, path: str) -> None:
    shown(page, address_of(path, filled, SPECIAL.get(path, "failed")))
    count = page.evaluate(COLLECT_STOPS)
    order: list[int] = []
    unseen: list[str] = []
    for _ in range(count + 40):  # an area that scrolls is a stop, too
        page.keyboard.press("Tab")
        if (stop := page.evaluate(NEXT_STOP)) is None:
            break
        order += [] if order[-1:] == [stop[0]] else [stop[0]]  # a field of a date has several stops
        unseen += [] if stop[1] else [stop[2]]
    else:
        raise AssertionError(f"the focus stays within the page, at last at {stop[2]}")
    there = page.evaluate(
        "window.stops.flatMap((each, number) => (each.isConnected ? [number] : []))"
    )  # some load later
    assert [each for each in order if each in there] == there
    assert unseen == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_no_page_is_not_shown_as_one(filled: Filled, path: str) -> None:
    with requests.get(address_of(path, filled), stream=True, timeout=30, allow_redirects=False) as answer:
        assert answer.status_code != 200 or not answer.headers.get("Content-Type", "").startswith("text/html")


SHOWING = [
    *((path, "failed") for path in ("/jobs", "/jobs/<job_id>", "/jobs/<job_id>/log", "/workers", "/triggers/<name>")),
    *((path, "hostile") for path in ("/jobs/<job_id>", "/models/<model>/history", "/promotions/<promotion_id>")),
]


@pytest.mark.parametrize(("path", "job"), [each for each in SHOWING if each[0] in PAGES])
def test_what_others_have_written_is_shown_as_text(page: Page, filled: Filled, path: str, job: str) -> None:
    shown(page, address_of(path, filled, job))
    assert SHOWN in page.inner_text("main")
    assert len(page.content()) < 500_000


def test_axe_is_the_one_that_its_authors_published_and_has_its_licence() -> None:
    assert sha256(AXE.read_bytes()).hexdigest() == AXE_SHA256
    assert {each.name for each in VENDOR.glob("LICENSE*")} == {"LICENSE-axe.txt", "LICENSE-axe-3rd-party.txt"}
