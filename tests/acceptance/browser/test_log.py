"""The viewer of a job's log in a real browser, while a worker writes to it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from shared.jobs.model import JobState
from shared.jobs.records import Claim, Ending
from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.jobs import DOCKER_AWAY, claim, running
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.waiting import wait_until

LINES = 100_000
AT_ONCE = 5_000
LINE = "2026-11-29 21:00:00 INFO trainer: step {} loss=0.123456 learning_rate=0.001 and the words of an ordinary line\n"
MOST_ELEMENTS = 3_000
MOST_BYTES = 150_000  # for opening a log, however long
MOST_HEAP_BYTES = 40_000_000
SHOWN_LINES = "document.querySelectorAll('.log-view .line').length"
ELEMENTS = "document.querySelectorAll('*').length"
IS_AT_END = "(view) => view.scrollTop + view.clientHeight >= view.scrollHeight - 4"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running_api(tmp_path_factory.mktemp("log"), REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture(scope="module")
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


@pytest.fixture
def training(store: SqlStore) -> Claim:
    return running(store)


class Sent:
    """What the page was sent, by its answers' lengths."""

    def __init__(self, page: Page) -> None:
        self.bytes = 0
        page.on("response", self._count)

    def _count(self, answer: Any) -> None:
        self.bytes += int(answer.headers.get("content-length", 0))


def open_log(page: Page, api: ApiServer, training: Claim, query: str = "") -> list[str]:
    """Open the page of the log; return what goes wrong on it from now on."""
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/jobs/{training.job.id}/log{query}")
    return wrong


def write(store: SqlStore, training: Claim, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    store.append_log(training, data, source_offset=0)


def write_lines(store: SqlStore, training: Claim, first: int, count: int) -> None:
    write(store, training, "".join(LINE.format(number) for number in range(first, first + count)))


def line(page: Page, text: str) -> Any:
    return page.locator(".log-view .line", has_text=text)


def view(page: Page) -> Any:
    return page.get_by_role("log")


def test_a_log_of_100_000_lines_grows_while_one_watches_and_the_page_stays_small(
    page: Page, api: ApiServer, store: SqlStore, training: Claim
) -> None:
    sent = Sent(page)
    wrong = open_log(page, api, training)
    for first in range(0, LINES, AT_ONCE):
        write_lines(store, training, first, AT_ONCE)
    expect(line(page, f"step {LINES - 1} ")).to_be_visible()
    assert view(page).evaluate(IS_AT_END)
    assert page.evaluate(ELEMENTS) < MOST_ELEMENTS
    assert page.evaluate("performance.memory.usedJSHeapSize") < MOST_HEAP_BYTES
    assert sent.bytes < 2_000_000  # of 11 million
    store.finish(training, Ending(JobState.SUCCEEDED))
    assert wrong == []


def test_a_long_log_opens_with_few_bytes_and_a_search_finds_a_line_far_away(
    page: Page, api: ApiServer, store: SqlStore, training: Claim
) -> None:
    for first in range(0, LINES, AT_ONCE):
        write_lines(store, training, first, AT_ONCE)
    store.finish(training, Ending(JobState.SUCCEEDED))
    sent = Sent(page)
    wrong = open_log(page, api, training)
    expect(line(page, f"step {LINES - 1} ")).to_be_visible()
    assert sent.bytes < MOST_BYTES + 100_000  # with all scripts
    page.keyboard.press("Tab")
    view(page).focus()
    page.keyboard.press("/")
    page.keyboard.type("STEP 512")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("1 of 111 lines")
    expect(line(page, "step 512 ")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(line(page, "step 5120 ")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(page.get_by_role("status")).to_have_text("111 of 111 lines")
    expect(line(page, "step 51299 ")).to_be_in_viewport()
    assert page.evaluate(ELEMENTS) < MOST_ELEMENTS
    assert wrong == []


def test_scrolling_up_stops_following_and_the_button_goes_on(
    page: Page, api: ApiServer, store: SqlStore, training: Claim
) -> None:
    write_lines(store, training, 0, AT_ONCE)
    open_log(page, api, training)
    expect(line(page, f"step {AT_ONCE - 1} ")).to_be_visible()
    follow = page.get_by_role("button", name="Follow")
    expect(follow).to_have_attribute("aria-pressed", "true")
    view(page).focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    expect(follow).to_have_attribute("aria-pressed", "false")
    seen = view(page).evaluate("(view) => view.scrollTop")
    size = view(page).evaluate("(view) => view.scrollHeight")
    write_lines(store, training, AT_ONCE, 1)
    wait_until(lambda: view(page).evaluate("(view) => view.scrollHeight") > size, what="a longer log")
    assert abs(view(page).evaluate("(view) => view.scrollTop") - seen) < 2000
    follow.click()
    expect(line(page, f"step {AT_ONCE} ")).to_be_in_viewport()


def test_choices_are_kept_for_the_next_log(page: Page, api: ApiServer, store: SqlStore, training: Claim) -> None:
    write_lines(store, training, 0, 10)
    open_log(page, api, training)
    page.get_by_role("button", name="Wrap").click()
    page.get_by_role("button", name="Follow").click()
    page.reload()
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")


def test_what_a_hostile_log_says_is_text(page: Page, api: ApiServer, store: SqlStore, training: Claim) -> None:
    write(
        store,
        training,
        "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>\n"
        "\x1b[31mred\x1b[0m \x1b[1;38;5;2mbold green\x1b[0m\x1b]0;a title\x07\x1b[2J\x1b[5;5H plain\n"
        "\u202eright to left\u202c \u05d0\u05d1 \U0001f600\n"
        " 10%\r 55%\r100% done\n" + "x" * 1_000_000 + "end of the long line\nlast\n",
    )
    wrong = open_log(page, api, training)
    expect(line(page, "last")).to_be_visible()
    page.get_by_label("Search the log").fill("<script>")
    page.keyboard.press("Enter")
    expect(line(page, "<script>window.hacked = true</script><img")).to_be_in_viewport()
    assert page.evaluate("window.hacked") is None
    expect(page.locator(".log-view .ansi1")).to_have_text("red")
    expect(page.locator(".log-view .bold.ansi2")).to_have_text("bold green")
    expect(line(page, "red bold green")).to_have_text("red bold green plain")
    expect(line(page, "right to left")).to_have_text("right to left \u05d0\u05d1 \U0001f600")
    expect(line(page, "100% done")).to_have_text("100% done")
    long = line(page, "xxxx")
    assert len(long.inner_text()) < 2100
    long.get_by_role("button", name="Show all").click()
    expect(long).to_contain_text("end of the long line")
    assert wrong == []


def test_the_last_error_is_a_button_away(page: Page, api: ApiServer, store: SqlStore, training: Claim) -> None:
    write_lines(store, training, 0, 3000)
    write(store, training, "Traceback (most recent call last):\n  File\nValueError: it is wrong\n")
    write_lines(store, training, 3000, 3000)
    open_log(page, api, training)
    page.get_by_role("button", name="Last error").click()
    expect(line(page, "ValueError: it is wrong")).to_be_in_viewport()


def test_a_next_attempt_is_followed_and_each_has_a_link(
    page: Page, api: ApiServer, store: SqlStore, training: Claim
) -> None:
    write(store, training, "of the first attempt\n")
    open_log(page, api, training)
    expect(line(page, "of the first attempt")).to_be_visible()
    store.finish(training, Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=0))
    store.wake_retries()
    second = claim(store, training.job.id)
    write(store, second, "of the second attempt\n")
    expect(line(page, "of the second attempt")).to_be_visible()
    page.get_by_role("link", name="Attempt 1").click()
    expect(line(page, "of the first attempt")).to_be_visible()


def test_a_download_is_the_log_byte_for_byte(page: Page, api: ApiServer, store: SqlStore, training: Claim) -> None:
    data = bytes(range(256)) * 8000 + "\u202e\U0001f600\r\n".encode()
    write(store, training, data)
    store.finish(training, Ending(JobState.SUCCEEDED))
    open_log(page, api, training)
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download").click()
    assert Path(coming.value.path()).read_bytes() == data
    assert coming.value.suggested_filename == f"job-{training.job.id[:8]}-attempt-1.log"


def test_without_a_script_the_end_of_the_log_is_there_to_read(
    page: Page, api: ApiServer, store: SqlStore, training: Claim
) -> None:
    write_lines(store, training, 0, 3000)
    assert page.context.browser is not None
    plain = page.context.browser.new_page(java_script_enabled=False)
    plain.goto(f"{api.url}/ui/jobs/{training.job.id}/log")
    expect(plain.get_by_role("log")).to_contain_text("step 2999 ")
    expect(plain.get_by_role("link", name="Download")).to_be_visible()
    expect(plain.get_by_role("button", name="Wrap")).to_be_hidden()
