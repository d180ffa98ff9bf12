"""The API stays small: what an idle one must not have loaded."""

import os
import subprocess
import sys
from pathlib import Path

from shared.sql import SqlStore, schema
from tests.support.network.ports import free_port

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    *("mlflow", "docker", "worker", "git", "pandas", "numpy", "alembic", "jwt", "opentelemetry", "psycopg"),
    "sqlalchemy.dialects.postgresql",  # the store is in SQLite
}
START = """
import sys, typing
from api.__main__ import prepare
from api.http.models import AnswerBody
from shared.redis_client import Redis

prepare()
print(*(each.__name__ for each in AnswerBody.__subclasses__() if each.__pydantic_complete__))
print(*typing.get_overloads(Redis.get))
print(*sys.modules)
"""


def test_an_api_that_is_about_to_serve_has_loaded_neither_mlflow_nor_docker_nor_the_worker(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/jobs.db")
    schema.upgrade(store)
    store.close()
    settings = {"DATA_DIR": str(tmp_path), "API_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    built, overloads, loaded = done.stdout.splitlines()
    assert not built
    assert not overloads
    assert "api.ui.pages.jobs" in loaded.split()
    assert not FORBIDDEN & set(loaded.split())
