"""The registry of alert channels: the settings class of each kind, ours and those of other distributions."""

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
    """Return each kind's settings class by its name; raise ConfigurationError if one cannot be loaded."""
    return {name: REGISTRY.load(name) for name in REGISTRY.names()}


def by_word() -> Mapping[str, type[ChannelSettings]]:
    """Return the kinds by the word that ALERT_WEBHOOKS uses for them."""
    return {kind.word: kind for kind in kinds().values()}


def what_to_check(channel: str) -> str:
    """Return which settings to check when a channel does not work, even one that is not set up here."""
    kind = kinds().get(channel)
    return kind.advice if kind else f"{channel} in ALERT_WEBHOOKS"
