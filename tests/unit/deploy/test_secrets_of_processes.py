"""Which of `make up`'s processes gets which secret."""

import pytest

from deploy.one_machine.process_secrets import environment_of

GIVEN = {
    "discord_webhook_url": "https://discord.example",
    "webhook_url": "https://discord.example",
    "ALERT_WEBHOOKS": "team-a=discord:https://discord.example",
    "ALERT_WEBHOOK_SECRET": "hunter2",
    "DISCORD_THREAD_ID": "42",
}


@pytest.mark.parametrize(
    ("process", "withheld"),
    [
        ("worker", set()),
        ("api", {"ALERT_WEBHOOK_SECRET"}),  # it needs to know where alerts can go, and not how to send them
        ("flower", {*GIVEN} - {"DISCORD_THREAD_ID"}),
    ],
)
def test_secrets_of_alert_channels_reach_only_who_needs_them(process: str, withheld: set[str]) -> None:
    assert GIVEN.keys() - environment_of(process, GIVEN, lent=()).keys() == withheld
