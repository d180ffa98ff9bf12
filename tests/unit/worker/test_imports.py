"""What the worker loads: not MLflow, which would be half of its memory, and calls home unless it is told not to."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOOK = """
import os, sys, typing
import worker.__main__, worker.composition
from shared.redis_client import Redis

print(*sys.modules, os.environ.get("MLFLOW_DISABLE_TELEMETRY"), len(typing.get_overloads(Redis.get)))
"""
TERMINAL = {"click_repl", "flower", "prompt_toolkit", "pygments", "tornado"}  # and what is installed beside
START = """
import sys
from shared.queue import make_celery
from shared.settings import Settings
from worker.__main__ import options_of

settings = Settings.load()
make_celery(settings, with_results=True).Worker(**options_of(settings, slots=2))
print(*sys.modules)
"""
FORBIDDEN = {
    *("matplotlib", "mlflow", "numpy", "pandas", "scipy", "api", "alembic", "opentelemetry", "psycopg"),
    "sqlalchemy.dialects.postgresql",  # the store is in SQLite
}


def test_the_worker_loads_no_mlflow_and_has_its_telemetry_off() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.split()
    assert "celery" in loaded
    assert not FORBIDDEN & set(loaded)
    assert loaded[-2:] == ["true", "0"]


def test_a_worker_of_celery_that_is_about_to_start_has_loaded_nothing_for_a_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=ROOT, env={}, capture_output=True, text=True, check=True, timeout=60
    )
    assert not TERMINAL & set(done.stdout.split())
