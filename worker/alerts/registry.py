"""Creates the channels that are set up; the redactor keeps the settings' secrets out of all of them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from typing import cast

from shared.alerts.destinations import Destination
from shared.alerts.kinds import GROUP
from shared.errors import ConfigurationError
from shared.links import Links
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.alerts.seam import AlertChannel


def channels_of(
    settings: Settings, redactor: Redactor, *, headers: Callable[[str], Mapping[str, str]] = lambda _address: {}
) -> dict[str, AlertChannel]:
    """Create the channels that are set up; raise ConfigurationError if a class cannot be loaded.

    ``headers``: by which the operator is let in at an address, asked for before each alert.
    """
    links = Links.of(settings)
    return {
        name: channel_class(each).from_settings(
            replace(each, headers=partial(headers, each.address)), links=links, redactor=redactor
        )
        for name, each in settings.destinations.by_name.items()
    }


def channel_class(destination: Destination) -> type[AlertChannel]:
    """Import the class that delivers to a channel."""
    place = destination.settings.delivered_by
    try:
        return cast(type[AlertChannel], EntryPoint(destination.name, place, GROUP).load())
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"Alerts to {destination.name} cannot be sent: {place} cannot be imported: {error}. "
            "Correct its installation."
        ) from error
