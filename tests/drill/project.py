"""What the drill trains: a script that prints numbered lines, and notes each of its starts where no fault reaches.

Some log, register and propose a model at their end, as trainings of users do: with MLflow, and mypackage's gate.
"""

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects.tree_bomb import commit_tree_bomb
from tests.support.servers.git_repository import RepositoryOnServer

EXAMPLE = "sklearn-dummy"
IMAGE = f"retrain-example-{EXAMPLE}"  # with MLflow and a library to train with
LEDGER_IN_CONTAINER = "/ledger"
CRASH_EXIT_CODE = 9
CRASH_LINES = 3
NO_ROOM_EXIT_CODE = 28
GIT_SECONDS = 30

NO_MODEL = "none"
NOT_PROPOSED_EXIT_CODE = 29
METRIC = "accuracy"
MYPACKAGE = Path(__file__).parents[2] / "mypackage"

MLPROJECT = """\
name: drill
entry_points:
  main:
    parameters:
      {lines: int, pause: float, code: int, crashes: int, ledger: string, model: string, value: float}
    command: "sh lines.sh $RETRAIN_JOB_ID $RETRAIN_ATTEMPT {lines} {pause} {code} {crashes} {ledger} {model} {value}"
"""
# The lock tells whether another training of the job runs at this moment, on any host: file descriptor 9 is not for
# `sleep`, which may outlive a killed script. A line that finds no room ends the script, as an exception would. What the
# gate prints is kept apart from the numbered lines, and its temporary files from the disk that a fault fills.
SCRIPT = f"""\
job=$1 attempt=$2 lines=$3 pause=$4 code=$5 crashes=$6 ledger=$7 model=$8 value=$9
exec 9>"$ledger/$job.lock"
flock -n 9 || echo "overlap $job $attempt" >>"$ledger/starts"
echo "start $job $attempt" >>"$ledger/starts"
if [ "$crashes" = 1 ] && mkdir "$ledger/$job.crashed" 2>/dev/null; then lines={CRASH_LINES} code={CRASH_EXIT_CODE}; fi
i=1
while [ $i -le $lines ]; do
  echo $i || exit {NO_ROOM_EXIT_CODE}
  sleep $pause 9>&-
  i=$((i+1))
done
if [ $code = 0 ] && [ "$model" != {NO_MODEL} ]; then
  export TMPDIR="$ledger" PYTHONDONTWRITEBYTECODE=1
  python3 propose.py "$model" "$value" >>"$ledger/$job.proposed" 2>&1 9>&- || exit {NOT_PROPOSED_EXIT_CODE}
fi
exit $code
"""
# MLflow's client repeats what a killed server did not answer: here sooner than by default, and as often.
PROPOSE = f"""\
import os
import sys

os.environ |= dict(MLFLOW_HTTP_REQUEST_TIMEOUT="10", MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="1")
import mlflow.sklearn
from sklearn.linear_model import LinearRegression

from mypackage import utility

utility.auto_compare_and_register(
    model=LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]),
    eval_metric=float(sys.argv[2]),
    model_name=sys.argv[1],
    lower=False,
    p_metric="{METRIC}",
    client=mlflow.tracking.MlflowClient(),
    mlflow_model=mlflow.sklearn,
)
"""


# Slower than the disk, so that the worker is seen to act before it is full.
GREEDY = """\
name: greedy
entry_points:
  flood:
    command: "yes 'a line that nobody will ever read, of which there are far too many' | head -c 2000000000"
  fill:
    command: "while true; do head -c 500000 /dev/zero >>big; sleep 0.1; done"
  eat:
    command: "python3 -c 'taken = bytes(range(256)) * 10**7'"
"""


@dataclass(frozen=True)
class Ledger:
    """What the trainings noted about themselves."""

    folder: Path

    def starts(self) -> Counter[tuple[str, int]]:
        """How often each attempt of each job was started."""
        return Counter((job, int(attempt)) for kind, job, attempt in self._lines() if kind == "start")

    def overlaps(self) -> list[tuple[str, int]]:
        """The attempts that began while another training of the same job was still running."""
        return [(job, int(attempt)) for kind, job, attempt in self._lines() if kind == "overlap"]

    def _lines(self) -> list[list[str]]:
        file = self.folder / "starts"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def make_repository(folder: Path, ledger: Path) -> RepositoryOnServer:
    """A repository with the project twice: in `process`, and in `docker` with an image and the ledger mounted."""
    repository = _empty_repository(folder)
    docker_env = f"docker_env:\n  image: {IMAGE}\n  volumes: ['{ledger}:{LEDGER_IN_CONTAINER}']\n"
    repository.commit(
        {
            **_project("process", MLPROJECT),
            **_project("docker", MLPROJECT + docker_env),
            "greedy-process/MLproject": GREEDY,
            "greedy-docker/MLproject": GREEDY + f"docker_env:\n  image: {IMAGE}\n",
        }
    )
    return repository


def _project(folder: str, mlproject: str) -> dict[str, str]:
    """Return the project's files, with mypackage as it is here: an image may have an older one."""
    files = {"MLproject": mlproject, "lines.sh": SCRIPT, "propose.py": PROPOSE}
    gate = {f"mypackage/{file.relative_to(MYPACKAGE)}": file.read_text() for file in MYPACKAGE.rglob("*.py")}
    return {f"{folder}/{name}": text for name, text in {**files, **gate}.items()}


def make_tree_bomb(folder: Path) -> RepositoryOnServer:
    """A small repository of a million files."""
    repository = _empty_repository(folder)
    commit_tree_bomb(repository, levels=6)
    return repository


def _empty_repository(folder: Path) -> RepositoryOnServer:
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True, timeout=GIT_SECONDS
    )
    return RepositoryOnServer(folder, f"file://{folder}")
