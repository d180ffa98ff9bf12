"""What people read on Discord: everything that helps, nothing secret, nothing that pings, within Discord's limits."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.alerts.model import AlertEvent
from shared.errors import Code, FailureType
from shared.jobs.model import Attempt, Job, Reason
from shared.links import Links
from shared.secrets.redactor import Redactor
from tests.support.alerting.discord import problems_of
from tests.support.alerting.records import AT, DECISION, EXITED, LINKS, RESULT, a_job, news
from worker.alerts.advice import ADVICE
from worker.alerts.discord.channel import LOG_LINES, Discord
from worker.alerts.discord.text import code_block, plain
from worker.alerts.posting import Endpoint
from worker.alerts.seam import News
from worker.alerts.text import cut, last_lines, printable, size

NO_LINKS = Links(mlflow=None, flower="", api=None)
ENDPOINT = Endpoint("https://discord.example/api/webhooks/1/hunter2", {})


def _message(told: News, *, links: Links = LINKS, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    message = Discord(ENDPOINT, links=links, redactor=Redactor(secrets)).message(told)
    assert problems_of(message) == []
    return message


def _embed(told: News, **options: Any) -> dict[str, Any]:
    [embed] = _message(told, **options)["embeds"]
    embed["fields"] = {field["name"]: field["value"] for field in embed["fields"]}
    return dict(embed)


def test_a_message_mentions_nobody_whatever_it_says() -> None:
    assert _message(news(AlertEvent.STARTED))["allowed_mentions"] == {"parse": []}


def test_a_success_tells_metric_decision_and_version() -> None:
    embed = _embed(news(AlertEvent.SUCCEEDED))
    assert embed["title"] == "digits: succeeded"
    assert embed["description"] == r"not promoted\: 0.8578 \< 0.9622"
    fields = embed["fields"]
    assert (fields["Model"], fields["Metrics"]) == ("digits, version 7", "accuracy 0.8578, champion 0.9622")
    assert (fields["Commit"], fields["Host"], fields["Duration"]) == ("0123456789ab (main)", "gpu-1", "1 h 2 min 3 s")
    assert embed["footer"]["text"].startswith("job 96d46092-")


def test_a_success_without_a_decision_tells_its_metrics() -> None:
    result: dict[str, Any] = {"metrics": {"loss": "NaN", "accuracy": 0.9}, "model_versions": [], "decision": None}
    embed = _embed(news(AlertEvent.SUCCEEDED, job=a_job(result=result)))
    assert embed["fields"]["Metrics"] == "accuracy 0.9\nloss NaN"
    assert embed["description"] == "No decision about a champion was made."
    assert "Metrics" not in _embed(news(AlertEvent.SUCCEEDED, job=a_job(result=None)))["fields"]


def test_a_failure_tells_its_code_its_cause_what_to_do_and_the_last_lines() -> None:
    output = "".join(f"line {number}\n" for number in range(1, 31))
    embed = _embed(news(AlertEvent.FAILED, job=a_job(reason=EXITED), output=output))
    first, advice, *block = embed["description"].split("\n")
    assert first == r"**NONZERO\_EXIT** Training ended with exit code 1."
    assert advice == f"**What to do:** {ADVICE[Code.NONZERO_EXIT]}"
    assert block == ["```", *(f"line {number}" for number in range(16, 31)), "```"]


def test_a_failure_before_the_first_attempt_has_neither_host_nor_duration() -> None:
    reason = Reason(Code.QUEUE_TIMEOUT, FailureType.TIMEOUT, "The job waited too long.")
    embed = _embed(news(AlertEvent.FAILED, job=a_job(reason=reason, attempts=(), run_id=None), attempt=0))
    assert set(embed["fields"]) == {"Experiment", "Model", "Commit", "Links"}
    assert "QUEUE" in embed["description"]


def test_a_retry_tells_the_attempts_cause_and_when_the_next_one_follows() -> None:
    job = replace(a_job(reason=EXITED), reason=None)  # the next attempt has begun
    embed = _embed(news(AlertEvent.RETRYING, job=job, retry_in_seconds=65.2))
    assert "exit code 1" in embed["description"]
    assert embed["description"].endswith("The next attempt follows in 1 min 5 s.")


def test_each_event_has_a_colour_and_a_title_of_its_own() -> None:
    embeds = [_embed(news(event)) for event in AlertEvent]
    assert len({embed["color"] for embed in embeds}) == len({embed["title"] for embed in embeds}) == len(AlertEvent)


@pytest.mark.parametrize("code", Code)
def test_each_code_says_what_failed_and_what_to_do(code: Code) -> None:
    assert code.meaning
    assert code.advice.endswith(".")


def test_links_lead_to_the_job_its_log_and_the_attempts_run() -> None:
    shown = _embed(news(AlertEvent.STARTED))["fields"]["Links"]
    page = "https://retrain.example/ui/jobs/96d46092-ca69-42c5-b9db-fd6fe51ed556"
    run = "https://mlflow.example/#/experiments/3/runs/run1?workflowType=machine_learning"
    assert shown == f"[job]({page}) · [log]({page}/log) · [MLflow run]({run})"
    assert "Links" not in _embed(news(AlertEvent.STARTED), links=NO_LINKS)["fields"]


def test_after_a_decision_about_a_model_a_link_leads_to_the_card() -> None:
    with_cards, decided = replace(LINKS, cards=True), a_job(result={**RESULT, "decision": {**DECISION, "id": "p1"}})
    card = "https://mlflow.example/#/experiments/3/runs/run1/artifacts/retrain/card.html?workflowType=machine_learning"

    assert f"[card]({card})" in _embed(news(AlertEvent.SUCCEEDED, job=decided), links=with_cards)["fields"]["Links"]
    assert "[card]" not in _embed(news(AlertEvent.SUCCEEDED), links=with_cards)["fields"]["Links"]
    assert "[card]" not in _embed(news(AlertEvent.SUCCEEDED, job=decided))["fields"]["Links"]


def test_what_users_wrote_is_plain_text() -> None:
    name = "@everyone <@123> **bold** [click](https://evil.example) `code` \x1b[31mred\u202e"
    embed = _embed(news(AlertEvent.STARTED, job=a_job(model_name=name)))
    shown = r"\@everyone \<\@123\> \*\*bold\*\* \[click\]\(https\://evil.example\) \`code\` red"
    assert (embed["fields"]["Model"], embed["title"]) == (shown, f"{shown}: training started")


def test_a_log_cannot_end_its_block_and_shows_as_text_without_colours() -> None:
    output = "100%\n```\n@everyone\n````` \x1b[1mbold\x1b[0m\n\n"
    embed = _embed(news(AlertEvent.FAILED, job=a_job(reason=EXITED), output=output))
    assert embed["description"].count("```") == 2
    assert embed["description"].split("```")[1].replace("\u200b", "").split("\n")[1:-1] == [
        "100%",
        "```",
        "@everyone",
        "````` bold",
    ]


def test_nothing_secret_is_shown_wherever_it_stands() -> None:
    reason = Reason(Code.INTERNAL, FailureType.INTERNAL, "cannot open postgresql://u:hunter2@db")
    job = a_job(reason=reason, model_name="hunter2", result={**RESULT, "decision": {**DECISION, "reason": "hunter2"}})
    for event in AlertEvent:
        message = _message(
            news(event, job=job, output=f"token hun\x1b[1mter2\n{'x' * 195} hunter2\n"), secrets=("hunter2",)
        )
        assert "hunter2" not in json.dumps(message)


TEXTS = st.text(max_size=3000) | st.text(alphabet="`*@\\\U0001f600\n x", max_size=6000)


@st.composite
def _jobs(draw: st.DrawFn) -> Job:
    reason = Reason(draw(st.sampled_from(Code)), FailureType.INTERNAL, draw(TEXTS))
    attempt = Attempt(1, draw(TEXTS), AT, ended_at=AT + timedelta(seconds=draw(st.floats(0, 1e7))), reason=reason)
    values = st.none() | st.floats() | TEXTS
    decision = {name: draw(values) for name in ("reason", "metric", "challenger", "champion")}
    result: dict[str, Any] = {
        "metrics": draw(st.dictionaries(TEXTS, values, max_size=9)),
        "model_versions": [{"name": draw(TEXTS), "version": draw(TEXTS)}],
        "decision": draw(st.none() | st.just(decision)),
    }
    names = {"experiment_name": draw(TEXTS), "model_name": draw(st.none() | TEXTS)}
    request = {"commit_hash": draw(TEXTS)}
    return a_job(**names, request=request, attempts=(attempt,), reason=reason, result=draw(st.none() | st.just(result)))


@settings(deadline=None)
@given(job=_jobs(), event=st.sampled_from(AlertEvent), output=TEXTS, page=TEXTS)
def test_whatever_a_job_holds_the_message_is_within_the_limits(
    job: Job, event: AlertEvent, output: str, page: str
) -> None:
    links = Links(mlflow=f"https://{page}", flower="", api=f"https://{page}")
    message = _message(news(event, job=job, output=output), links=links)
    json.dumps(message).encode()


@settings(deadline=None)
@given(text=TEXTS, limit=st.integers(0, 300))
def test_text_that_is_cut_fits(text: str, limit: int) -> None:
    assert size(cut(text, limit)) <= limit
    assert size(plain(printable(text), limit)) <= limit
    block = code_block(last_lines(text, 15), limit)
    assert size(block) <= limit
    assert block.count("```") in (0, 2)


def test_what_is_too_long_in_all_loses_the_first_lines_of_the_log() -> None:
    long = "*" * 5000
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, long)
    attempt = Attempt(1, long, AT, ended_at=AT, run_id="run1", reason=reason)
    job = a_job(
        reason=reason, model_name=long, experiment_name=long, request={"commit_hash": long}, attempts=(attempt,)
    )
    output = "".join(f"{number:03} {'=' * 300}\n" for number in range(1, 41))
    shown = _embed(news(AlertEvent.FAILED, job=job, output=output))["description"].split("\n")
    assert (shown[-2][:3], shown[-1]) == ("040", "```")
    assert 5 < len(shown[shown.index("```") + 1 : -1]) < LOG_LINES


def test_a_cut_shows() -> None:
    assert plain("x" * 300, 250) == f"{'x' * 249}…"
    assert cut("\U0001f600" * 4, 5) == "\U0001f600\U0001f600…"


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x1b[0m"])
def test_text_that_shows_nothing_is_no_field(text: str) -> None:
    assert "Model" not in _embed(news(AlertEvent.STARTED, job=a_job(model_name=text)))["fields"]
