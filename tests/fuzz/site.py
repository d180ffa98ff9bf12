"""The API that is asked: on a real server and database, with a registry that answers, and jobs that end at once."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from api.__main__ import make_server
from api.app import create_app
from api.http.serving import Server
from shared.access.roles import Role
from shared.errors import JobEnded, LeaseLost, StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from shared.sql.schema import upgrade
from tests.fakes.queue import RecordingQueue
from tests.support.jobs import SUCCEEDED, a_host, try_claim
from tests.support.network.ports import free_port
from tests.support.servers.odd_mlflow import OddMlflow
from tests.unit.api.access.callers import sent_by

TEAM = "vision"
WAITING = JobFilter(states=frozenset({JobState.QUEUED}))
UNLIMITED = {"caller_requests_per_second": 10_000, "caller_jobs_queued": 10_000, "api_connections": 1000}
PAUSE_SECONDS = 0.02


class Registry(OddMlflow):
    """It has versions 1 to 3 of each model, and no others."""

    def _read(self, path: str) -> Any:
        from flask import request  # noqa: PLC0415 - of the app that OddMlflow makes

        if request.args.get("version", "1") not in self.values:
            return {"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404
        return super()._read(path)


class Site:
    """A server, with the headers of a caller of each role."""

    def __init__(self, folder: Path, *, isolated: bool) -> None:
        self._registry = Registry()
        self._registry.served.start()
        settings = Settings.load(
            _env_file=None,
            data_dir=folder,
            api_port=free_port(),
            api_tokens="of-the-operator",
            teams_isolated=isolated,
            mlflow_tracking_uri=self._registry.served.url,
            **UNLIMITED,
        )
        self.url = f"http://127.0.0.1:{settings.api_port}"
        self.store = SqlStore(settings.store_url, teams_isolated=isolated)
        upgrade(self.store)
        self.app = create_app(settings, store=self.store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))
        self.server: Server = make_server(self.app, settings)
        self.callers: Mapping[str, Mapping[str, str]] = {
            **{role: sent_by(self.store, f"fuzz-{role}", role, team=TEAM) for role in Role},
            "nobody": {},
        }
        self._is_over = threading.Event()
        threading.Thread(target=self._end_jobs, daemon=True).start()

    def stop(self) -> None:
        """End what the server does not."""
        self._is_over.set()
        self._registry.served.stop()

    def _end_jobs(self) -> None:
        """Give each job that waits a log, and an end: who follows one is not kept waiting."""
        while not self._is_over.wait(PAUSE_SECONDS):
            for job in self.store.list(WAITING, limit=50):
                end_job(self.store, job.id, queue=job.queue)


def end_job(store: JobStore, job_id: str, *, queue: str) -> None:
    """Take a job to success, unless somebody cancels it meanwhile."""
    try:
        host = a_host("fuzz", queues={queue}, slots=1000)
        store.beat(host, gap_seconds=60)
        if (claim := try_claim(store, job_id, host=host)) is None:
            store.cancel(job_id, force=True)  # no host has what it asks for
            return
        store.started(claim, runner="docker", container=f"container of {job_id}")
        store.append_log(claim, b"one\ntwo \xe2\x82\xac\n", source_offset=12)
        store.finish(claim, SUCCEEDED)
    except (JobEnded, LeaseLost, StoreUnavailable):
        return
