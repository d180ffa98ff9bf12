"""Slack's channel keeps the contract, before a stand-in that holds messages to Block Kit's documented limits."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.alerts.model import AlertEvent
from shared.links import Links
from shared.secrets.redactor import Redactor
from tests.support.alerting.channel_contract import AlertChannelContract, checked, destination
from tests.support.alerting.records import EXITED, LINKS, a_job, news
from tests.support.alerting.webhook_server import Answer, WebhookServer
from worker.alerts.posting import Endpoint
from worker.alerts.slack import Slack
from worker.findings.finding import State

MOST_BLOCKS, MOST_FIELDS, MOST_ELEMENTS = 50, 10, 10
HEADER, SECTION, FIELD = 150, 3000, 2000
ENTITY, LINK = re.compile("&(amp|lt|gt);"), re.compile(r"<https://[^<>|]+\|[A-Za-z ]+>")


def problems_of(message: dict[str, Any]) -> list[str]:
    """What Slack would not take of a message, or take for a mention or a link of ours that it is not."""
    blocks = message.get("blocks", [])
    found = [] if 0 < len(blocks) <= MOST_BLOCKS else ["no blocks, or too many"]
    for block in blocks:
        match block["type"]:
            case "header":
                found += _problems_of_text(block["text"], HEADER, kinds=("plain_text",))
            case "section":
                fields = block.get("fields", [])
                found += [] if ("text" in block) != bool(fields) and len(fields) <= MOST_FIELDS else ["section"]
                found += _problems_of_text(block["text"], SECTION) if "text" in block else []
                found += [problem for each in fields for problem in _problems_of_text(each, FIELD)]
            case "context":
                found += [] if 0 < len(block["elements"]) <= MOST_ELEMENTS else ["context"]
                found += [problem for each in block["elements"] for problem in _problems_of_text(each, FIELD)]
            case unknown:
                found.append(f"unknown block {unknown}")
    return found + _problems_of_markup(message["text"], may_link=False)


def _problems_of_text(text: dict[str, Any], limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> list[str]:
    units = len(text["text"].encode("utf-16-le")) // 2
    found = [] if 0 < units <= limit else [f"{units} characters"]
    found += [] if text["type"] in kinds else [f"{text['type']} may not be here"]
    is_markup = text["type"] == "mrkdwn"
    found += ["not verbatim"] if is_markup and not text.get("verbatim") else []
    return found + _problems_of_markup(text["text"], may_link=is_markup)


def _problems_of_markup(text: str, *, may_link: bool) -> list[str]:
    rest = ENTITY.sub("", LINK.sub("", text) if may_link else text)
    return [f"not escaped: {rest[:50]!r}"] if set(rest) & {"<", ">", "&"} else []


def take(body: bytes) -> Answer:
    """Answer as Slack does."""
    message = json.loads(body)
    if not message.get("text"):
        return 400, "no_text"
    return (400, "invalid_blocks") if problems_of(message) else (200, "ok")


class TestSlack(AlertChannelContract):
    """The contract, on Slack."""

    @pytest.fixture
    def far_side(self) -> Iterator[WebhookServer]:
        """Slack's stand-in."""
        server = WebhookServer("slack_webhook_url", take)
        yield server
        server.close()

    @pytest.mark.parametrize("answer", [(404, "no_service"), (403, "invalid_token"), (410, "channel_is_archived")])
    def test_the_doctor_names_a_webhook_that_was_removed(self, far_side: WebhookServer, answer: Answer) -> None:
        far_side.gone, far_side.is_gone = answer, True
        found = checked(far_side)
        assert (found.state, destination(far_side).variable) == (State.FAILURE, "SLACK_WEBHOOK_URL")
        assert "for SLACK_WEBHOOK_URL" in found.advice


def message(text: str = "", links: Links = LINKS) -> dict[str, Any]:
    slack = Slack(Endpoint("https://slack.example", {}), links=links, redactor=Redactor())
    return slack.message(news(AlertEvent.FAILED, job=a_job(model_name=text, reason=EXITED), output=f"{text}\n"))


def test_mentions_and_links_of_users_are_text() -> None:
    said = json.dumps(message("<!channel> <@U123> <https://evil.example|click> ```"))
    assert "&lt;!channel&gt; &lt;@U123&gt; &lt;https://evil.example|click&gt;" in said


def test_a_log_cannot_end_its_block() -> None:
    shown = [block["text"] for block in message("``` *bold* ```")["blocks"] if "text" in block]
    [code] = [text["text"] for text in shown if text["type"] == "mrkdwn" and text["text"].startswith("```")]
    assert code.count("```") == 2


def test_links_of_ours_lead_to_the_job_its_log_and_its_run() -> None:
    [links] = [block for block in message("iris")["blocks"] if "|job>" in json.dumps(block)]
    assert links["text"]["text"].count("<https://") == 3
    assert "|job>" not in json.dumps(message("iris", Links(None, "", None)))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"blocks": []}, "no blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "151 characters"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x" * 3001}}]}, "3001"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "<!here>"}}]}, "not escaped"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x"}}]}, "not verbatim"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x"}}] * 51}, "too many"),
    ],
)
def test_the_stand_in_takes_nothing_that_slack_would_not(changed: dict[str, Any], problem: str) -> None:
    assert problem in " ".join(problems_of({"text": "x", **changed}))
