"""Tells which fields a recorded request sets, and which of them a worker of another version does not know. No I/O.

A nested field's name includes those around it, as in ``resources.host``.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

# What workers knew before they reported which fields they know. It never changes, whatever is added.
KNOWN_TO_EARLIER_WORKERS = frozenset(
    """
    MLproject_location alerts alerts.events alerts.to base_model commit_hash concurrency_key dataset_repo entry_point
    experiment_name git_uri labels model_name parameters priority promotion promotion.direction
    promotion.guardrail_directions promotion.guardrails promotion.metric promotion.min_delta promotion.min_value queue
    resources resources.cpus resources.gpus resources.host resources.host_labels resources.memory retry
    retry.initial_delay_seconds retry.max_attempts retry.max_delay_seconds retry.on timeouts timeouts.git_seconds
    timeouts.pull_seconds timeouts.queue_seconds timeouts.run_seconds
    """.split()  # noqa: SIM905 - as a list they are forty lines
)


def fields_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of all fields that the record sets."""
    return tuple(_names(record, ""))


def is_for_newer_workers(record: Mapping[str, Any]) -> bool:
    """Return whether earlier workers would fail the job: they cannot release it."""
    return bool(unknown_among(fields_of(record), KNOWN_TO_EARLIER_WORKERS))


def _names(record: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, value in record.items():
        yield f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _names(value, f"{before}{name}.")


def unknown_among(asked: Collection[str], known: frozenset[str]) -> list[str]:
    """Return the unknown fields. Whatever is inside a known field without subfields belongs to the caller."""
    unknown = [name for name in asked if not _is_known(name, known)]
    return [name for name in unknown if name.rpartition(".")[0] not in unknown]


def _is_known(name: str, known: frozenset[str]) -> bool:
    if name in known:
        return True
    around = name.rpartition(".")[0]
    return bool(around) and around not in _groups(known) and _is_known(around, known)


@lru_cache(maxsize=16)  # there are as many as versions of workers
def _groups(known: frozenset[str]) -> frozenset[str]:
    return frozenset(name.rpartition(".")[0] for name in known)
