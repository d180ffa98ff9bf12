"""Discord and webhooks for programs keep the contract of alert channels; other channels have tests of their own."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.kinds import OURS
from tests.support.alerting.channel_contract import AlertChannelContract
from tests.support.alerting.discord import DiscordServer, Trouble
from tests.support.alerting.webhook_server import WebhookServer

ROOT = Path(__file__).parents[4]
BURST = 1000


class DiscordSide:
    """Discord's stand-in, as the contract asks for it."""

    def __init__(self) -> None:
        self.trouble, self._is_closed = Trouble.NONE, False
        self._server = DiscordServer(clock=lambda: 0.0, trouble=lambda: self.trouble, burst=BURST)
        self.settings: dict[str, Any] = {"discord_webhook_url": self._server.url}

    @property
    def is_gone(self) -> bool:
        """Whether the settings lead to a webhook that was deleted."""
        return str(self.settings["discord_webhook_url"]).endswith("-gone")

    @is_gone.setter
    def is_gone(self, value: bool) -> None:
        self.settings["discord_webhook_url"] = f"{self._server.url}{'-gone' if value else ''}"

    def texts(self) -> list[str]:
        """Return the messages that it took."""
        return [json.dumps(message, ensure_ascii=False) for message in self._server.messages]

    def close(self) -> None:
        """Stop serving."""
        if not self._is_closed:
            self._is_closed = True
            self._server.close()


class TestDiscord(AlertChannelContract):
    """The contract, on Discord."""

    @pytest.fixture
    def far_side(self) -> Iterator[DiscordSide]:
        """Discord's stand-in."""
        side = DiscordSide()
        yield side
        side.close()


class TestWebhook(AlertChannelContract):
    """The contract, on a program that takes JSON."""

    @pytest.fixture
    def far_side(self) -> Iterator[WebhookServer]:
        """A program that takes any JSON."""
        server = WebhookServer("alert_webhook_url", take=lambda body: (200, str(len(json.loads(body)))))
        yield server
        server.close()


def test_every_other_channel_of_ours_is_held_to_the_contract_in_its_own_test() -> None:
    for name in sorted({*OURS} - {"discord", "webhook"}):
        module = import_module(f"tests.unit.worker.alerts.test_{name}_channel")
        contracts = [each for each in vars(module).values() if isinstance(each, type)]
        assert any(issubclass(each, AlertChannelContract) and each is not AlertChannelContract for each in contracts)


def test_no_channel_knows_another_one() -> None:
    folders = [each for each in (ROOT / "worker/alerts").iterdir() if (each / "__init__.py").exists()]
    sources = {each.name: "".join(file.read_text() for file in each.glob("*.py")) for each in folders}
    assert sources.keys() == OURS.keys()
    known = [(one, other) for one in sources for other in sources if f"worker.alerts.{other}" in sources[one]]
    assert [(one, other) for one, other in known if one != other] == []
