"""The webhooks of Alertmanager (version 4) and of Grafana's alerting, which are of one shape.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from typing import Any

from api.hooks.sent import digest, objects_at, text_at, value_at
from api.hooks.signals.signal import Quiet, Signal
from shared.triggers.fields import Signalled

MOST_ALERTS = 100  # of one notification, the newest


def read(payload: dict[str, Any], when: Signalled) -> Signal | Quiet:
    """Return the alerts that fire, as one signal.

    An alert's key is its fingerprint and since when it fires. So one that is told again fires nothing again, however
    its group looks by then: others may have joined it, or been resolved. A trigger's metric is an alert's name.
    """
    known = objects_at(payload, "alerts")
    firing = [each for each in known if each.get("status", payload.get("status")) == "firing"]
    if not firing:
        return Quiet("resolved")
    wanted = [each for each in firing if when.metric in (None, _name(each))]
    if not wanted:
        return Quiet(f"no alert is named {when.metric}")
    newest = sorted(wanted, key=lambda each: text_at(each, "startsAt"), reverse=True)[:MOST_ALERTS]
    facts = {"alert": _name(newest[0]), "since": text_at(newest[0], "startsAt"), "alerts": len(wanted)}
    first, *others = dict.fromkeys(map(_key, newest))
    return Signal(first, facts, tuple(others))


def _name(alert: dict[str, Any]) -> str:
    return text_at(alert, "labels", "alertname")


def _key(alert: dict[str, Any]) -> str:
    return f"alert:{digest(*_which(alert), text_at(alert, 'startsAt'))}"


def _which(alert: dict[str, Any]) -> list[str]:
    """Return the fingerprint, or the labels that it is made of, which old versions send alone."""
    if fingerprint := text_at(alert, "fingerprint"):
        return [fingerprint]
    labels = value_at(alert, "labels")
    pairs = sorted(labels.items()) if isinstance(labels, dict) else []
    return [part for name, value in pairs if isinstance(value, str) for part in (name, value)]
