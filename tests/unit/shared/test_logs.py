"""What a line of the log looks like, and whose facts it carries."""

import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared import logs
from shared.logs import UNWRITABLE, FactsFormatter, JsonFormatter, job_context, log_context
from shared.secrets.redactor import Redactor
from tests.support.jobs import new_job
from tests.support.log_lines import Log
from tests.support.threads import at_once

MANY = 200


@pytest.fixture
def log() -> Log:
    return Log(JsonFormatter())


def test_a_line_says_when_how_bad_who_what_and_the_facts(log: Log) -> None:
    before = datetime.now(UTC)
    log.logger.warning("put off %s", "twice", extra={"step": "sweep", "count": 2, "names": ["a"], "host": None})
    line = log.object
    at = datetime.strptime(line.pop("timestamp"), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs((at - before).total_seconds()) < 60
    assert line == {
        "level": "WARNING",
        "logger": "iris",
        "message": "put off twice",
        "step": "sweep",
        "count": 2,
        "names": ["a"],
        "host": None,
    }


def test_times_are_utc_to_the_millisecond(log: Log) -> None:
    record = logging.makeLogRecord({"created": 1.25, "levelno": logging.INFO, "msg": "at"})
    log.logger.handle(record)
    assert log.object["timestamp"] == "1970-01-01T00:00:01.250Z"


def test_a_message_of_many_lines_is_one_line(log: Log) -> None:
    log.logger.info("one\ntwo\r\nthree\u2028\x00 \ud800 é", extra={"cause": "four\nfive"})
    assert len(log.text.splitlines()) == 1
    assert (log.object["message"], log.object["cause"]) == ("one\ntwo\r\nthree\u2028\x00 \ud800 é", "four\nfive")


def test_an_exception_is_one_field_with_its_traceback(log: Log) -> None:
    try:
        raise ValueError("no\ncolumn age")
    except ValueError:
        log.logger.exception("broke")
    assert log.object["exception"].startswith("Traceback (most recent call last):\n")
    assert log.object["exception"].endswith("ValueError: no\ncolumn age")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        ([1, -math.inf], "[1, -inf]"),
        (Path("a/b"), "a/b"),
        ({"at": datetime(2026, 1, 31, tzinfo=UTC)}, {"at": "2026-01-31 00:00:00+00:00"}),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_what_json_cannot_hold_becomes_text(log: Log, value: object, written: object) -> None:
    log.logger.info("odd", extra={"value": value})
    assert log.object["value"] == written


def test_a_value_that_holds_itself_becomes_text(log: Log) -> None:
    ring: list[object] = []
    ring.append(ring)
    log.logger.info("odd", extra={"value": ring})
    assert log.object["value"] == "[[...]]"


def test_no_fact_takes_the_place_of_what_every_line_has(log: Log) -> None:
    log.logger.info("said", extra={"level": "none", "logger": "another", "timestamp": 0})
    line = log.object
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "iris", "said")
    assert line["timestamp"]


@pytest.mark.parametrize("formatter", [JsonFormatter(), FactsFormatter("%(levelname)s %(name)s: %(message)s")])
def test_a_line_that_cannot_be_written_is_told_of_in_a_line(
    formatter: logging.Formatter, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log(formatter)
    log.logger.info("%d jobs", "many")
    log.logger.info("next")
    assert UNWRITABLE in log.text
    assert "test_logs.py" in log.text
    assert "next" in log.text
    assert capsys.readouterr().err == ""


def test_a_stream_that_is_gone_ends_nothing(log: Log) -> None:
    log.stream.close()
    log.logger.info("said to nobody")


def test_text_has_the_facts_behind_the_message_and_the_traceback_below() -> None:
    log = Log(FactsFormatter("%(levelname)s %(name)s: %(message)s"))
    with log_context(job_id="j1"):
        try:
            raise ValueError("no column age")
        except ValueError:
            log.logger.exception("broke", extra={"step": "sweep"})
    first, second, *_ = log.text.splitlines()
    assert first == "ERROR iris: broke job_id=j1 step=sweep"
    assert second == "  Traceback (most recent call last):"


def test_in_text_no_value_makes_a_line_of_its_own_or_moves_the_cursor() -> None:
    log = Log(FactsFormatter("%(levelname)s %(name)s: %(message)s"))
    hostile = "a\nERROR iris: forged\r\x1b[2K\x9b\u2028\u202e"
    try:
        raise ValueError(hostile)
    except ValueError:
        log.logger.exception(hostile, extra={"cause": hostile})
    first, *others = log.text.splitlines()
    assert first.startswith("ERROR iris: a\\nERROR iris: forged\\r\\x1b[2K\\x9b\\u2028\\u202e cause=a\\nERROR")
    assert all(each.startswith("  ") for each in others)
    assert log.text.isascii()
    assert log.text.replace("\n", "").isprintable()


def test_lines_of_a_jobs_work_say_which_job_attempt_and_request(log: Log) -> None:
    job = new_job(request_id="abc-1")
    with job_context(job, attempt=2):
        log.logger.info("within")
    log.logger.info("outside")
    within, outside = log.objects
    assert (within["job_id"], within["attempt"], within["request_id"]) == (job.id, 2, "abc-1")
    assert not {"job_id", "attempt", "request_id"} & outside.keys()


def test_the_context_within_another_one_adds_to_it_and_ends_with_it(log: Log) -> None:
    with log_context(job_id="j1"):
        with log_context(request_id="abc-1"):
            log.logger.info("both")
        log.logger.info("one")
    both, one = log.objects
    assert (both["job_id"], both["request_id"]) == ("j1", "abc-1")
    assert (one["job_id"], "request_id" in one) == ("j1", False)


def test_the_context_of_another_job_has_nothing_of_the_one_around_it(log: Log) -> None:
    with job_context(new_job(request_id="abc-1"), attempt=2), job_context(other := new_job()):
        log.logger.info("another")
    assert log.object["job_id"] == other.id
    assert not {"attempt", "request_id"} & log.object.keys()


def test_a_line_about_another_job_has_nothing_of_the_job_around_it(log: Log) -> None:
    with job_context(new_job(request_id="abc-1"), attempt=2):
        log.logger.info("about another", extra={"job_id": "j2"})
    assert log.object["job_id"] == "j2"
    assert not {"attempt", "request_id"} & log.object.keys()


def test_a_requests_line_about_a_job_has_the_requests_id(log: Log) -> None:
    with log_context(request_id="abc-1"):
        log.logger.info("cancel requested", extra={"job_id": "j1"})
    assert (log.object["job_id"], log.object["request_id"]) == ("j1", "abc-1")


def test_a_context_that_breaks_off_is_gone(log: Log) -> None:
    with pytest.raises(ValueError, match="broke"), log_context(job_id="j1"):
        raise ValueError("broke")
    log.logger.info("after")
    assert "job_id" not in log.object


def test_two_threads_at_once_never_mix_their_jobs(log: Log) -> None:
    turn = threading.Barrier(2, timeout=30)

    def work(number: int) -> None:
        with job_context(new_job(request_id=f"r{number}"), attempt=number):
            for _ in range(MANY):
                turn.wait()
                log.logger.info("of r%s", number)

    at_once(2, work)
    assert len(log.objects) == 2 * MANY
    assert {(line["message"], line["request_id"], line["attempt"]) for line in log.objects} == {
        *(("of r0", "r0", 0), ("of r1", "r1", 1))
    }


def in_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(30)


def test_a_thread_carries_the_context_only_where_it_was_copied(log: Log) -> None:
    with log_context(job_id="j1"):
        in_thread(lambda: log.logger.info("of nobody"))
        context = copy_context()
        in_thread(lambda: context.run(log.logger.info, "of the job"))
    nobody, job = log.objects
    assert ("job_id" in nobody, job["job_id"]) == (False, "j1")


SECRET = 'hunter2 "and" more'


@pytest.mark.parametrize("formatter", [FactsFormatter, JsonFormatter])
def test_no_line_holds_a_secret_in_its_message_its_facts_or_its_traceback(
    formatter: Callable[..., logging.Formatter],
) -> None:
    log = Log(formatter(redactor=Redactor([SECRET])))
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.logger.exception("broke at %s", SECRET, extra={"cause": [SECRET, {"again": SECRET.encode()}]})
    assert not [word for word in ("hunter2", "and", "more") if word in log.text.replace("shared/redactor", "")]
    assert log.text.count("***") == 4
    if formatter is JsonFormatter:
        assert log.object["message"] == "broke at ***"


PRINT_EVERYWHERE = """
import logging, os, sys, threading, warnings
library = logging.getLogger("library")
library.addHandler(logging.StreamHandler(sys.__stderr__))
from shared import logs
from shared.secrets.redactor import Redactor
secret = os.environ["SECRET"]
logs.configure("DEBUG", sys.argv[1], Redactor([secret]))
logging.getLogger("later").addHandler(logging.StreamHandler())
for logger in (library, logging.getLogger("later"), logging.getLogger("urllib3"), logging.getLogger()):
    logger.debug("sends %r", {"Authorization": secret})
print("one", secret)
print("two", secret[:5], end="")
print(secret[5:], file=sys.stdout, flush=True)
print("three", secret, file=sys.stderr)
print("four", secret, file=sys.__stderr__)
warnings.warn(f"five {secret}")
thread = threading.Thread(target=lambda: 1 / int(secret))
thread.start()
thread.join()
print("six", secret, end="")
raise RuntimeError(secret)
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_secret_is_printed_whatever_prints_it(log_format: str, tmp_path: Path) -> None:
    environment = {**os.environ, "SECRET": SECRET, "PYTHONPATH": str(Path(logs.__file__).parents[1])}
    command = [sys.executable, "-c", PRINT_EVERYWHERE, log_format]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 1
    assert "hunter2" not in printed
    assert printed.count("***") >= 12
    assert all(word in done.stdout + done.stderr for word in ("one", "two", "three", "four", "five", "six"))
