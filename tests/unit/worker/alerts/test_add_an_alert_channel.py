"""docs/contributing/add-an-alert-channel.md is followed: its channel, as another distribution, is found and used."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.acceptance.support.pages import marked_blocks
from tests.support.alerting.webhook_server import WebhookServer
from tests.support.distributions import write_metadata

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/contributing/add-an-alert-channel.md"
SECONDS = 120
USE = """
from shared.settings import Settings
from shared.secrets.redactor import Redactor
from shared.alerts.model import AlertEvent
from tests.support.alerting.records import news
from worker.alerts.registry import channels_of

settings = Settings.load(_env_file=None)
print(sorted(settings.alert_channels), sorted(settings.alerting.channels))
print([channel.send(news(AlertEvent.STARTED)).verdict.name for channel in channels_of(settings, Redactor()).values()])
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the page's files, and the metadata that pip would write for them."""
    for block in marked_blocks(PAGE):
        (tmp_path / block.title).write_text(block.text)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    ((group, entry_points),) = project["entry-points"].items()
    write_metadata(tmp_path, name=project["name"], group=group, entry_points=entry_points)
    return tmp_path


def run(*arguments: str, installed: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = f"{ROOT}{os.pathsep}{installed}"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_channel_of_the_page_keeps_the_contract(installed: Path) -> None:
    done = run("-m", "pytest", "-q", "--rootdir", str(ROOT), str(installed / "test_ntfy.py"), installed=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_channel_of_the_page_is_found_sends_alerts_and_is_checked_by_the_doctor(installed: Path) -> None:
    server = WebhookServer("ntfy_url")
    asked = {"NTFY_URL": server.url, "ALERT_WEBHOOKS": f"team-a=ntfy:{server.url}"}
    done = run("-c", USE, installed=installed, **asked)
    assert done.stdout.splitlines() == ["['ntfy', 'team-a'] ['ntfy']", "['SENT', 'SENT']"], done.stderr
    look = "from worker.doctor.alert_channels import check_alert_channels as check; import shared.settings as s"
    looked = run("-c", f"{look}; print(*check(s.Settings.load(_env_file=None)))", installed=installed, **asked)
    assert looked.stdout.count("<State.OK: 'ok'>") == 2, looked.stderr
    server.close()
    assert [text.splitlines()[0] for text in server.texts()] == ["digits: training started"] * 2


def test_the_api_does_not_load_what_delivers(installed: Path) -> None:
    loads = "import sys, shared.settings as s; s.Settings.load(_env_file=None)"
    code = f"{loads}; print('retrain_ntfy_channel' in sys.modules)"
    done = run("-c", code, installed=installed, NTFY_URL="https://ntfy.example")
    assert done.stdout == "False\n", done.stderr


def test_a_channel_that_cannot_be_loaded_stops_the_start_and_is_named(installed: Path) -> None:
    (installed / "retrain_ntfy.py").write_text("import no_such_module")
    done = run("-c", "import shared.settings as s; s.Settings.load(_env_file=None)", installed=installed)
    assert "retrain.alert_channels names 'ntfy', retrain_ntfy:NtfySettings cannot be imported" in done.stderr
