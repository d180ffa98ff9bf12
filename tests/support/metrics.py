"""What Prometheus would read of a /metrics endpoint."""

import re
from collections import defaultdict

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("", "_count", "_sum")}
NOT_NAMES = re.compile(
    r"\"[^\"]*\"|'[^']*'"  # strings
    r"|\{[^}]*\}|\[[^]]*\]"  # labels and ranges
    r"|\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
    r"|\b(and|or|unless|bool|offset)\b"
    r"|\w+(?=\s*(?:\(|by\b|without\b))"  # functions
)


def families_of(text: str) -> list[Metric]:
    """The metrics, also those that have no sample yet."""
    return list(text_string_to_metric_families(text))


def samples_of(text: str) -> Samples:
    """The samples by name and labels."""
    found: Samples = defaultdict(dict)
    for family in families_of(text):
        for sample in family.samples:
            found[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return dict(found)


def names_of(text: str) -> set[str]:
    """The names that a query may use."""
    return {f"{each.name}{suffix}" for each in families_of(text) for suffix in SUFFIXES.get(each.type, ("",))}


def names_in(query: str) -> set[str]:
    """The names of metrics in a PromQL query."""
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", NOT_NAMES.sub(" ", query)))
