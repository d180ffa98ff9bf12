"""The API stays small: what importing it must not load."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = {"mlflow", "docker", "worker", "git", "pandas", "numpy", "alembic", "jwt", "opentelemetry", "psycopg"}


def test_importing_the_app_loads_neither_mlflow_nor_docker_nor_the_worker() -> None:
    code = "import sys, api.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert not FORBIDDEN & set(run.stdout.split())
