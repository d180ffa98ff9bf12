"""The registry of alert channels: a class of settings for each kind, ours and those of other distributions."""

import pkgutil
from collections.abc import Mapping
from functools import cache

from shared.alerts import channels
from shared.alerts.channel_settings import ChannelSettings
from shared.plugins import Registry

GROUP = "retrain.alert_channels"
OURS = {  # each module of the folder holds a class of its own name
    name: f"{channels.__name__}.{name}:{name.capitalize()}" for _, name, _ in pkgutil.iter_modules(channels.__path__)
}
REGISTRY: Registry[type[ChannelSettings]] = Registry(GROUP, setting=f"The entry point group {GROUP}", ours=OURS)


@cache
def kinds() -> Mapping[str, type[ChannelSettings]]:
    """Return each kind's settings by its name; ConfigurationError for one that cannot be used."""
    return {name: REGISTRY.load(name) for name in REGISTRY.names()}


def by_word() -> Mapping[str, type[ChannelSettings]]:
    """Return them by what ALERT_WEBHOOKS calls them."""
    return {kind.word: kind for kind in kinds().values()}


def what_to_check(channel: str) -> str:
    """Say which settings to look at when a channel does not work, also one that is not set up here."""
    kind = kinds().get(channel)
    return kind.advice if kind else f"{channel} in ALERT_WEBHOOKS"
