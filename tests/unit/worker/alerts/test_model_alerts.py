"""What an alert about a model says: what moved, by whom, why, in numbers, and the commands to answer it."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from shared.alerts.model import AlertEvent
from shared.jobs.promotions import Event, HistoryLine, Kind, PromotionState
from shared.secrets.redactor import Redactor
from tests.support.alerting.records import (
    AT,
    BETTER,
    JOB_ID,
    LINKS,
    PROMOTION_ID,
    a_job,
    a_line,
    about_model,
    model_news,
)
from tests.unit.worker.alerts.sending import Bench
from worker.alerts.content import Content
from worker.alerts.posting import Endpoint
from worker.alerts.seam import ModelNews, News
from worker.alerts.text import one_line
from worker.alerts.webhook.channel import Webhook

CHANGED, WANTED = AlertEvent.CHAMPION_CHANGED, AlertEvent.APPROVAL_WANTED
ROLL_BACK = "Roll back: retrain rollback digits 6 --reason '…'"
EVIDENCE = {"metric": "f1", "challenger": 0.93, "champion": 0.9, "low": 0.004, "high": 0.056}


def content(told: ModelNews | News, secrets: tuple[str, ...] = ()) -> Content:
    news = told if isinstance(told, News) else model_news(told)
    return Content(news, links=LINKS, redactor=Redactor(secrets), shown=one_line)


def texts(told: ModelNews) -> list[str]:
    return [f"{label} {text}".strip() for label, text in content(told).told()]


def fields(told: ModelNews) -> dict[str, str]:
    return {name: value for name, value in content(told).fields() if value}


def moved(**values: Any) -> HistoryLine:
    return a_line(Event.MOVED, **values)


def waiting(**values: Any) -> ModelNews:
    return about_model(a_line(Event.APPROVAL_WANTED, reason="waits for approval: 0.9622 > 0.8578"), **values)


def test_a_promotion_of_a_job_says_what_moved_by_which_numbers_and_how_to_roll_back() -> None:
    told = about_model(moved())
    assert content(told).title == "digits: version 7 is champion now"
    assert content(told).origin == f"promotion {PROMOTION_ID}, job {JOB_ID}"
    assert texts(told) == ["promoted: 0.9622 > 0.8578", ROLL_BACK]
    assert fields(told) == {
        "Model": "digits",
        "Version": "7",
        "Before": "6",
        "By": f"job {JOB_ID} (training)",
        "Metrics": "accuracy 0.9622, champion 0.8578",
        "Gain": "0.1044",
    }


def test_a_rollback_says_who_asked_for_it_and_why() -> None:
    line = moved(kind=Kind.ROLLBACK, actor="api", reason="blind to roses", version="6", before="7", job_id=None)
    told = about_model(line, decision={})
    assert texts(told) == ["blind to roses", "Roll back: retrain rollback digits 7 --reason '…'"]
    assert fields(told) == {"Model": "digits", "Version": "6", "Before": "7", "By": "api (rollback)"}
    assert content(told).origin == f"promotion {PROMOTION_ID}"
    assert content(told).pages() == {}


def test_a_move_by_hand_says_so() -> None:
    told = about_model(moved(kind=Kind.FOREIGN, actor="unknown", reason="somebody moved it", job_id=None), decision={})
    assert fields(told)["By"] == "somebody, in MLflow itself"
    assert texts(told) == ["somebody moved it", ROLL_BACK]
    gone = about_model(moved(kind=Kind.FOREIGN, version=None))
    assert (content(gone).title, fields(gone)["Version"]) == ("digits: no version is champion now", "none")


def test_a_broken_probation_says_so() -> None:
    line = moved(kind=Kind.PROBATION, actor="probation (observed by api)", version="6", before="7", job_id=None)
    assert fields(about_model(line, decision={}))["By"] == "probation (observed by api)"


def test_a_first_champion_has_none_to_roll_back_to() -> None:
    told = about_model(moved(before=None, reason="promoted: the first"), decision={**BETTER, "champion": None})
    assert texts(told) == ["promoted: the first"]
    assert (fields(told)["Before"], fields(told)["Metrics"]) == ("none", "accuracy 0.9622")


def test_another_alias_is_named_and_has_no_command_to_roll_back() -> None:
    told = about_model(moved(alias="staging"))
    assert content(told).title == "digits: version 7 has the alias staging now"
    assert fields(told)["Alias"] == "staging"
    assert texts(told) == ["promoted: 0.9622 > 0.8578"]


def test_an_approved_champion_says_who_approved_it_and_why() -> None:
    approval = a_line(Event.APPROVED, actor="ann", reason="looks right")
    told = replace(about_model(moved()), approval=approval)
    assert texts(told)[1] == "Approved: looks right (by ann)"


def test_a_wait_for_approval_has_the_numbers_the_exact_commands_and_its_end() -> None:
    told = waiting()
    assert content(told).title == "digits: version 7 waits for approval"
    assert texts(told) == [
        "waits for approval: 0.9622 > 0.8578",
        f"Approve: retrain approve {PROMOTION_ID}",
        f"Reject: retrain reject {PROMOTION_ID} --reason '…'",
    ]
    found = fields(told)
    assert (found["Now"], found["Metrics"], found["Gain"], found["Expires"]) == (
        "6",
        "accuracy 0.9622, champion 0.8578",
        "0.1044",
        "2030-01-08 12:00 UTC",
    )


def test_a_gain_is_of_what_was_measured_on_the_same_data_and_positive_where_lower_is_better() -> None:
    scored = fields(waiting(decision={**BETTER, "evidence": EVIDENCE}))
    assert (scored["Metrics"], scored["Gain"]) == ("f1 0.93, champion 0.9", "0.03 [0.004, 0.056]")
    lower = {**BETTER, "challenger": 0.2, "champion": 0.3, "direction": "lower_is_better"}
    assert fields(waiting(decision=lower))["Gain"] == "0.1"
    assert "Gain" not in fields(waiting(decision={**BETTER, "champion": "NaN"}))


def test_one_that_was_answered_before_it_was_told_shows_no_commands() -> None:
    assert texts(waiting(state=PromotionState.EXPIRED))[1:] == ["It does not wait any more: it is expired."]


@pytest.mark.parametrize("name", ["$(touch owned)", "it's; rm -rf ~", "--help", "a b", "`id`", "-x"])
def test_a_models_name_is_no_command_for_the_shell(name: str) -> None:
    [command] = [text for text in texts(about_model(moved(model=name))) if text.startswith("Roll back:")]
    words = shlex.split(command.removeprefix("Roll back: "))
    assert words[:2] == ["retrain", "rollback"]
    at = words.index(name)
    assert words[at + 1] == "6"
    assert not name.startswith("-") or words[at - 1] == "--"


def test_nothing_secret_is_told() -> None:
    line = moved(model="hunter2", reason="hunter2", actor="hunter2")
    told = about_model(line, decision={**BETTER, "metric": "hunter2"})
    shown = content(replace(told, approval=a_line(Event.APPROVED, reason="hun\x1b[1mter2")), secrets=("hunter2",))
    assert "hunter2" not in f"{shown.title} {list(shown.told())} {list(shown.fields())}"


def test_a_program_gets_the_promotion() -> None:
    channel = Webhook(Endpoint("https://x.example", {}), secret="", links=LINKS, redactor=Redactor())
    approval = a_line(Event.APPROVED, actor="ann", reason="looks right")
    body = json.loads(json.dumps(channel.body(model_news(replace(about_model(moved()), approval=approval)))))
    assert (body["event"], body["at"], body["job"], body["attempt"]) == (CHANGED, AT.isoformat(), None, 0)
    said = body["promotion"]
    assert (said["model"], said["alias"], said["version"], said["before"]) == ("digits", "champion", "7", "6")
    assert (said["kind"], said["actor"], said["approved_by"]) == ("training", f"job {JOB_ID}", "ann")
    assert (said["id"], said["state"], said["expires_at"]) == (PROMOTION_ID, "promoted", None)
    assert said["decision"]["challenger"] == 0.9622
    wanted = channel.body(model_news(waiting(), job=a_job()))
    assert (wanted["attempt"], wanted["job"]["id"], wanted["promotion"]["expires_at"]) == (
        1,
        JOB_ID,
        "2030-01-08T12:00:00+00:00",
    )


def test_the_page_of_the_job_is_linked_while_there_is_one() -> None:
    assert set(content(model_news(about_model(moved()), job=a_job())).pages()) == {"job", "log", "MLflow run"}


def test_the_sender_reads_the_promotion_its_approval_and_the_job_if_that_is_kept() -> None:
    bench = Bench()
    job_id = bench.ended_with_a_promotion()
    [wanted, changed] = [each for each in bench.sent() if each.model]
    assert wanted.model is not None
    assert changed.model is not None
    assert (wanted.job and wanted.job.id, wanted.model.line.event) == (job_id, Event.APPROVAL_WANTED)
    assert changed.model.approval is not None
    assert (changed.model.approval.actor, changed.model.promotion.state) == ("ann", PromotionState.PROMOTED)
    bench.move_by_hand()
    bench.store.delete_ended(older_than_seconds=-1, limit=9)
    assert [(each.job, each.model and each.model.line.version) for each in bench.sent()] == [(None, "9")]
