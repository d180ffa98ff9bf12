"""Knows where alerts can go in this installation: the channels that are set up, of all kinds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.alerts.channel_settings import ChannelSettings
from shared.alerts.kinds import kinds
from shared.alerts.named import NamedChannel
from shared.errors import ConfigurationError


@dataclass(frozen=True)
class Destination:
    """One channel: a name for people and metrics, its kind's settings, and the address, which is secret."""

    name: str
    kind: str
    settings: ChannelSettings
    address: str = field(repr=False)
    is_default: bool
    headers: Callable[[], Mapping[str, str]] = field(default=dict, repr=False)  # what its receiver wants to see as well

    @property
    def variable(self) -> str:
        """The variable that holds the address."""
        return self.settings.switch.upper() if self.is_default else "ALERT_WEBHOOKS"


@dataclass(frozen=True)
class Destinations:
    """All channels by name, and the settings of each kind, used or not."""

    kinds: Mapping[str, ChannelSettings] = field(default_factory=dict)
    by_name: Mapping[str, Destination] = field(default_factory=dict)

    @classmethod
    def load(cls, named: Sequence[NamedChannel], **overrides: Any) -> "Destinations":
        """Read the settings of all kinds; raise ConfigurationError if one is wrong or a name is taken."""
        read = {name: kind.load(**overrides) for name, kind in kinds().items()}
        found = {
            name: Destination(name, name, each, each.address, is_default=True)
            for name, each in read.items()
            if each.address
        }
        words = {each.word: name for name, each in read.items()}
        for channel in named:
            if channel.name in found:
                raise _wrong(
                    f"ALERT_WEBHOOKS: must choose another name than {channel.name}: "
                    f"{found[channel.name].variable} has it"
                )
            kind, address = words[channel.word], channel.address.get_secret_value()
            found[channel.name] = Destination(channel.name, kind, read[kind], address, is_default=False)
        for each in found.values():
            if problem := each.settings.problem():
                raise _wrong(problem)
        return cls(read, found)

    @property
    def defaults(self) -> frozenset[str]:
        """The channels for the alerts of a job that does not choose any."""
        return frozenset(name for name, each in self.by_name.items() if each.is_default)

    @property
    def names(self) -> frozenset[str]:
        """The names that metrics show: all kinds, and the named channels."""
        return frozenset({*self.kinds, *self.by_name})

    def secrets(self) -> Iterator[str]:
        """Yield the secrets of all channels."""
        for kind in self.kinds.values():
            yield from kind.secrets()
        for each in self.by_name.values():
            yield from each.settings.secrets_of(each.address)


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"Wrong settings in the environment or .env: {what}")
