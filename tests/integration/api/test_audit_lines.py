"""What a running API leaves in AUDIT_LOG: each change and each refusal, chained, and no token that was sent."""

import json
from pathlib import Path

import requests

from mypackage.audit_chain import verify
from tests.support.servers.api_server import running_api
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY


def test_a_running_api_writes_each_change_and_each_refusal(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    with running_api(tmp_path, API_TOKENS="right-token", AUDIT_LOG=str(file)) as api:
        right = {"Authorization": "Bearer right-token"}
        job = requests.post(f"{api.url}/retrain", json=BODY, headers=right, timeout=30).json()
        wrong = {"Authorization": "Bearer wr0ng-t0ken"}
        for _ in range(2):
            assert requests.get(f"{api.url}/jobs/{job['id']}", headers=wrong, timeout=30).status_code == 401
        requests.post(f"{api.url}/jobs/{job['id']}/cancel", headers=right, timeout=30).raise_for_status()
        wait_until(lambda: len(file.read_text().splitlines()) == 4, what="four lines")
    records = sorted(map(json.loads, file.read_text().splitlines()), key=lambda each: int(each["number"]))
    told = sorted((each["caller"], each["action"], each["subject"], each["outcome"]) for each in records)
    assert told == [
        ("env-1", "cancelJob", f"job:{job['id']}", "done"),
        ("env-1", "retrain", f"job:{job['id']}", "done"),
        ("nobody", "getJob", "", "refused"),
        ("nobody", "getJob", "", "refused"),
    ]
    assert verify(reversed(records)).problem == ""
    assert "t0ken" not in file.read_text()
