"""What the drill trains: a script that prints numbered lines, and notes each of its starts where no fault reaches."""

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.support.projects.tree_bomb import commit_tree_bomb
from tests.support.servers.git_repository import RepositoryOnServer

IMAGE = "python:3.11-slim"
LEDGER_IN_CONTAINER = "/ledger"
CRASH_EXIT_CODE = 9
CRASH_LINES = 3
NO_ROOM_EXIT_CODE = 28
GIT_SECONDS = 30

MLPROJECT = """\
name: drill
entry_points:
  main:
    parameters: {lines: int, pause: float, code: int, crashes: int, ledger: string}
    command: "sh lines.sh $RETRAIN_JOB_ID $RETRAIN_ATTEMPT {lines} {pause} {code} {crashes} {ledger}"
"""
# The lock tells whether another training of the job runs at this moment, on any host: file descriptor 9 is not for
# `sleep`, which may outlive a killed script. A line that finds no room ends the script, as an exception would.
SCRIPT = f"""\
job=$1 attempt=$2 lines=$3 pause=$4 code=$5 crashes=$6 ledger=$7
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
exit $code
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
            "docker/MLproject": MLPROJECT + docker_env,
            "docker/lines.sh": SCRIPT,
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
