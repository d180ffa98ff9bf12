"""Decides how much of its host an attempt may use: as requested, else a share by slots, up to the maximum. Pure."""

import math
from dataclasses import dataclass

from shared.errors import Code, UserError
from shared.policy.rules import NO_RULES, Rules
from shared.requests.parts import Resources, memory_bytes
from shared.settings import Settings
from worker.runners.seam import Capacity, Exit

GIB = 2**30
LEAST_RESERVE_BYTES = GIB  # of memory, for the system and the services next to the training
RESERVED_PART = 20


@dataclass(frozen=True)
class AttemptLimits:
    """The limits of an attempt; None means no limit."""

    memory_bytes: int | None
    cpus: float | None


def limits_of(
    resources: Resources,
    settings: Settings,
    capacity: Capacity | None,
    *,
    slots: int,
    rules: Rules = NO_RULES,
) -> AttemptLimits:
    """Return the limits of an attempt; raise UserError if the request exceeds the maximum.

    What ``rules`` allow is the most that the service's own defaults give. If the runner cannot limit anything
    (``capacity`` is None), the request's values are passed on.
    """
    if capacity is None:
        return AttemptLimits(_asked_bytes(resources), resources.cpus)
    memory, cpus = _memory(resources, settings, capacity, slots), _cpus(resources, settings, capacity)
    most_cpus = min(cpus or math.inf, rules.most("cpus"))  # what the request says itself was checked before
    return AttemptLimits(int(min(memory, rules.most("memory"))), most_cpus if most_cpus < math.inf else None)


def usable_bytes(capacity: Capacity) -> int:
    """Return how much of a host's memory all training together may use."""
    reserve = max(LEAST_RESERVE_BYTES, capacity.memory_bytes // RESERVED_PART)
    return max(capacity.memory_bytes - reserve, capacity.memory_bytes // 2)


def _memory(resources: Resources, settings: Settings, capacity: Capacity, slots: int) -> int:
    most = min(settings.attempt_memory_most_bytes or capacity.memory_bytes, usable_bytes(capacity))
    asked = _asked_bytes(resources)
    if asked is not None and asked > most:
        raise _too_much("memory", f"{asked / GIB:.1f} GiB", f"{most / GIB:.1f} GiB", "ATTEMPT_MEMORY_MOST_BYTES")
    return asked or min(most, settings.attempt_memory_bytes or usable_bytes(capacity) // slots)


def _cpus(resources: Resources, settings: Settings, capacity: Capacity) -> float | None:
    """Return the limit on cores: by default none, as trainings share all cores by weight."""
    most = min(settings.attempt_cpus_most or capacity.cpus, capacity.cpus)
    if resources.cpus is not None and resources.cpus > most:
        raise _too_much("cpus", f"{resources.cpus:g}", f"{most:g}", "ATTEMPT_CPUS_MOST")
    if resources.cpus is not None:
        return resources.cpus
    default = settings.attempt_cpus or settings.attempt_cpus_most
    return min(default, most) if default else None


def _asked_bytes(resources: Resources) -> int | None:
    return memory_bytes(resources.memory) if resources.memory else None


def _too_much(what: str, asked: str, most: str, setting: str) -> UserError:
    message = (
        f"resources.{what} asks for {asked}, and this host gives one attempt {most} at most ({setting}, and what the "
        "host has). Ask for less, or for a larger host by resources.host or resources.host_labels."
    )
    return UserError(Code.INVALID_PARAMETER, message, asked=asked, most=most)


def out_of_memory(outcome: Exit, resources: Resources) -> UserError:
    """Return the error: which limit was exceeded, where it came from, and how to raise it."""
    source = (
        "resources.memory" if resources.memory else "this host's default: ATTEMPT_MEMORY_BYTES, or a share by slots"
    )
    limit = f" than its limit of {outcome.memory_bytes / GIB:.2f} GiB ({source})" if outcome.memory_bytes else ""
    message = (
        f"Training used more memory{limit or ' than it may'} and was killed. Let it use less, or ask for more with "
        "resources.memory."
    )
    return UserError(Code.OOM_KILLED, message, memory_bytes=outcome.memory_bytes)


def log_flood(printed_bytes: int, settings: Settings) -> UserError:
    """Return the error for a training that printed far more than is kept."""
    megabytes = f"{printed_bytes / 10**6:,.0f} MB"
    message = (
        f"Training printed at least {megabytes}, as its host counts it, and was stopped: that is more than "
        f"LOG_FLOOD_FACTOR={settings.log_flood_factor} times LOG_LIMIT_BYTES={settings.log_limit_bytes}. Print "
        "less, such as a line an epoch, or write it to a file and log that to the run; the operator can raise both."
    )
    return UserError(Code.LOG_FLOOD, message, printed_bytes=printed_bytes)
