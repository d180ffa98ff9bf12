"""What is trained: numbered lines until its gate opens. It notes each of its starts where no upgrade reaches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drill.project import Ledger
from tests.support.servers.git_repository import RepositoryOnServer, bare_repository

IMAGE = "python:3.11-slim"
LEDGER_IN_CONTAINER = "/ledger"
LAST_LINE = "done"
FAILURE_EXIT_CODE = 9

MLPROJECT = """\
name: upgrade
entry_points:
  main:
    parameters: {gate: string, fails: int, ledger: string}
    command: "sh lines.sh $RETRAIN_JOB_ID $RETRAIN_ATTEMPT {gate} {fails} {ledger}"
  flood:
    parameters: {gate: string, fails: int, ledger: string}
    command: "yes 'far too many lines' | head -c 50000000"
"""
# The lock tells whether another training of the job runs at this moment: file descriptor 9 is not for `sleep`.
SCRIPT = f"""\
job=$1 attempt=$2 gate=$3 fails=$4 ledger=$5
exec 9>"$ledger/$job.lock"
flock -n 9 || echo "overlap $job $attempt" >>"$ledger/starts"
echo "start $job $attempt" >>"$ledger/starts"
if [ "$fails" = 1 ] && mkdir "$ledger/$job.failed" 2>/dev/null; then exit {FAILURE_EXIT_CODE}; fi
i=1
while [ ! -e "$ledger/$gate.open" ]; do
  echo $i
  sleep 0.1 9>&-
  i=$((i+1))
done
echo {LAST_LINE}
"""


@dataclass(frozen=True)
class Project:
    """The project's repository, and the folder that its trainings write to."""

    folder: Path
    runner: str

    @property
    def ledger(self) -> Ledger:
        """What the trainings noted."""
        return Ledger(self.folder / "ledger")

    @property
    def mount(self) -> str:
        """The host's folder that containers are given."""
        return str(self.ledger.folder)

    def make(self) -> RepositoryOnServer:
        """Make the repository and the ledger."""
        self.ledger.folder.mkdir(parents=True)
        docker_env = f"docker_env:\n  image: {IMAGE}\n  volumes: ['{self.mount}:{LEDGER_IN_CONTAINER}']\n"
        mlproject = MLPROJECT + (docker_env if self.runner == "docker" else "")
        return bare_repository(self.folder / "project.git", {"MLproject": mlproject, "lines.sh": SCRIPT})

    def request(self, experiment: str, *, gate: str, fails: bool = False, **wishes: Any) -> dict[str, Any]:
        """The body of POST /retrain for a training that waits at the gate."""
        ledger = LEDGER_IN_CONTAINER if self.runner == "docker" else self.mount
        parameters = {"gate": gate, "fails": int(fails), "ledger": ledger}
        uri = f"file://{self.folder / 'project.git'}"
        return {"experiment_name": experiment, "git_uri": uri, "parameters": parameters, **wishes}

    def open(self, gate: str) -> None:
        """Let those that wait at the gate end."""
        (self.ledger.folder / f"{gate}.open").touch()
