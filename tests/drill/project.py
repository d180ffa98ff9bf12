"""What the drill trains: a script that prints numbered lines, and notes each of its starts where no fault reaches.

Some propose a model at their end, as the gate in a training does, but with Python alone: an import of MLflow would take
longer than the training.
"""

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mypackage.gate.proposal import Proposal
from mypackage.protocol import CHAMPION, PROPOSAL_TAGS
from tests.support.projects.tree_bomb import commit_tree_bomb
from tests.support.servers.git_repository import RepositoryOnServer

IMAGE = "python:3.11-slim"
LEDGER_IN_CONTAINER = "/ledger"
CRASH_EXIT_CODE = 9
CRASH_LINES = 3
NO_ROOM_EXIT_CODE = 28
GIT_SECONDS = 30

NO_MODEL = "none"
NOT_PROPOSED_EXIT_CODE = 29
PROPOSE_SECONDS = 120  # in which MLflow may be away
METRIC = "accuracy"

_AS_GATE = Proposal("m", "u", "r", METRIC, False, CHAMPION, 0, True).to_json()  # what is not known yet is replaced
MLPROJECT = """\
name: drill
entry_points:
  main:
    parameters:
      {lines: int, pause: float, code: int, crashes: int, ledger: string, model: string, value: float}
    command: "sh lines.sh $RETRAIN_JOB_ID $RETRAIN_ATTEMPT {lines} {pause} {code} {crashes} {ledger} {model} {value}"
"""
# The lock tells whether another training of the job runs at this moment, on any host: file descriptor 9 is not for
# `sleep`, which may outlive a killed script. A line that finds no room ends the script, as an exception would.
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
  python3 propose.py "$model" "$value" 9>&- || exit {NOT_PROPOSED_EXIT_CODE}
fi
exit $code
"""
PROPOSE = f"""\
import json, os, sys, time, urllib.request

run, url = os.environ["RETRAIN_RUN_ID"], os.environ["MLFLOW_TRACKING_URI"]
said = json.loads({_AS_GATE!r})
said.update(model_name=sys.argv[1], model_uri=f"runs:/{{run}}/model", run_id=run, at=time.time_ns())
metric = dict(key=said["metric"], value=float(sys.argv[2]), timestamp=int(time.time() * 1000), step=0)


def post(path, **body):
    for _ in range({PROPOSE_SECONDS}):
        data = json.dumps(dict(body, run_id=run)).encode()
        kind = {{"Content-Type": "application/json"}}
        asked = urllib.request.Request(f"{{url}}/api/2.0/mlflow/runs/{{path}}", data, kind)
        try:
            return urllib.request.urlopen(asked, timeout=10).read()
        except OSError:
            time.sleep(1)
    sys.exit(1)


post("log-metric", **metric)
post("set-tag", key="{PROPOSAL_TAGS}drill", value=json.dumps(said))
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
            "process/MLproject": MLPROJECT,
            "process/lines.sh": SCRIPT,
            "process/propose.py": PROPOSE,
            "docker/MLproject": MLPROJECT + docker_env,
            "docker/lines.sh": SCRIPT,
            "docker/propose.py": PROPOSE,
            "greedy-process/MLproject": GREEDY,
            "greedy-docker/MLproject": GREEDY + f"docker_env:\n  image: {IMAGE}\n",
        }
    )
    return repository


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
