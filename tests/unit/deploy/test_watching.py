"""The two /metrics, the dashboard and the alert rules belong together: what one names the other tells."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client import generate_latest

from shared.alerts.kinds import kinds
from tests.support.engines import require
from tests.support.metrics import families_of, names_in, names_of
from worker.metrics.worker_metrics import WorkerMetrics

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/retrain.json").read_text())
RULES = DEPLOY / "prometheus/alerts.yml"
OTHERS = ("process_", "python_")  # the libraries' own names


@pytest.fixture
def texts(client: FlaskClient) -> dict[str, str]:
    """What the API and a worker serve."""
    client.get("/jobs")
    worker = generate_latest(WorkerMetrics({"default"}, kinds()).registry).decode()
    return {"api": client.get("/metrics").text, "worker": worker}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """All of PromQL that we ship, with where it stands."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def unknown_names(query: str, texts: dict[str, str]) -> set[str]:
    return names_in(query) - set().union(*map(names_of, texts.values()))


def test_every_metric_has_a_help_text_and_our_prefix(texts: dict[str, str]) -> None:
    for text in texts.values():
        families = families_of(text)
        assert all(each.documentation for each in families)
        names = {each.name for each in families if not each.name.startswith(OTHERS)}
        assert len(names) >= 10
        assert [name for name in names if not name.startswith("retrain_")] == []


def test_the_dashboard_and_the_rules_ask_for_what_is_served(texts: dict[str, str]) -> None:
    asked = list(queries())
    assert len(asked) > 30
    assert {title: unknown for title, query in asked if (unknown := unknown_names(query, texts))} == {}


def test_all_that_is_served_of_our_own_is_asked_for_somewhere(texts: dict[str, str]) -> None:
    asked = set().union(*(names_in(query) for _, query in queries()))
    for text in texts.values():
        for family in families_of(text):
            is_created = family.name.endswith("_created")
            if family.name.startswith("retrain_") and not is_created:
                assert any(name.startswith(family.name) for name in asked), family.name


@pytest.mark.parametrize(
    "query",
    [
        "retrain_made_up",
        "sum by (state) (rate(retrain_jobs_total[5m]))",
        'histogram_quantile(0.5, sum by (le) (increase(retrain_job_wait_seconds_buckets{queue="default"}[$window])))',
        "retrain_store_up == 0 and on (instance) retrain_jobs_ended",
        "4 * absent(retrain_http_request_duration_seconds)",
    ],
)
def test_a_made_up_name_is_found(query: str, texts: dict[str, str]) -> None:
    assert len(unknown_names(query, texts)) == 1


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 60
        assert "for" in rule or "increase(" in rule["expr"]


def test_the_dashboard_has_no_panel_twice_and_reads_the_chosen_prometheus() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    sources = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"] if panel["type"] != "row"}
    assert sources == {"${datasource}"}
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", " ".join(query for _, query in queries())))
    assert used - {"__rate_interval"} <= variables


def test_prometheus_own_tool_accepts_all_of_it(texts: dict[str, str]) -> None:
    require(shutil.which("promtool") is not None, "promtool")

    def promtool(*arguments: str, stdin: str = "") -> None:
        done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    promtool("check", "config", str(DEPLOY / "prometheus/prometheus.yml"))
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(Path(__file__).with_name("alert_rules.yml")))
    for text in texts.values():
        promtool("check", "metrics", stdin=text)
