"""`make up`: the whole service on one machine, under one supervisor (honcho, deploy/Procfile), with its data kept.

This plans and makes ready; then it becomes the supervisor.
"""

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from deploy.one_machine.plan import FOLDER, Stack, plan
from deploy.one_machine.ports import refuse_taken_ports
from deploy.one_machine.process_secrets import environment_of
from deploy.one_machine.stack_supervisor import Part, Supervised, become_supervisor
from deploy.one_machine.welcome import addresses, welcome
from shared import logs
from shared.errors import ConfigurationError, RetrainError
from shared.live_secrets import environment
from shared.own_files import CHOSEN_BY_MAKE_UP, close_to_others, keep_files_private
from shared.sql import SqlStore, schema
from worker.host.machine import this_machine
from worker.runners.registry import worker_redactor

# Settings that are decided at the start where nobody gives them, and that the doctor has to know. None is a secret.
CHOSEN = (
    *("RUNNER", "WORKER_HOST", "GIT_SCHEMES", "GIT_PRIVATE_NETWORKS", "CONTAINER_NETWORK", "CONTAINER_HOST_ADDRESS"),
    *("TRACKING_GUARD_URI", "TRAINING_FIREWALL_FILE"),
)


@contextmanager
def data_lock(folder: Path) -> Iterator[TextIO]:
    """Keep a second stack away from the same data, for as long as the file is open."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "stack.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"A stack runs on {folder} already. Stop it first.") from error
        yield file


def running_stack(folder: Path) -> dict[str, str] | None:
    """Return the addresses of the stack that runs on this data, or None."""
    try:
        with data_lock(folder):
            return None
    except ConfigurationError:
        urls: dict[str, str] = json.loads((folder / "stack.json").read_text())
        return urls


def run(stack: Stack, given: Mapping[str, str], lock: TextIO) -> NoReturn:
    """Make the store ready, and become the supervisor with the environment that was given."""
    refuse_taken_ports(stack)
    store = SqlStore(stack.settings.store_url)
    schema.upgrade(store)
    store.leave(
        stack.settings.worker_host, this_machine(stack.settings)
    )  # what an earlier worker said says nothing of the one that comes
    store.close()
    (stack.settings.data_dir / "stack.json").write_text(json.dumps(addresses(stack)))
    become_supervisor(supervised(stack), given, lock)


def supervised(stack: Stack) -> Supervised:
    """Return what the supervisor has to know."""
    lent = stack.settings.project_env_allowlist
    parts = {}
    for name, command in stack.processes.items():
        gets = environment_of(name, stack.environment, lent=lent)
        parts[name] = Part(command, [variable for variable in stack.environment if variable not in gets])
    return Supervised(
        folder=str(FOLDER),
        environment=stack.environment,
        parts=parts,
        with_names=stack.settings.log_format == "text",  # before a line of JSON a name would make it none
        urls=addresses(stack),
        welcome=welcome(stack),
        chosen_file=str(stack.settings.data_dir / CHOSEN_BY_MAKE_UP),
        chosen={name: stack.environment[name] for name in CHOSEN if name in stack.environment},
        runner=stack.settings.runner,
        network=stack.network.name if stack.network else "",
    )


def main() -> int:
    """Start the stack and stay until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="make up",
        description="Start Redis, MLflow, the API, a worker and Flower on this machine; Ctrl-C stops them.",
        epilog="Settings come from the environment and .env; docs/reference/settings.md lists them.",
    )
    parser.parse_args()
    keep_files_private()
    given = dict(os.environ)
    try:
        stack = plan()
        close_to_others(stack.settings.data_dir)
        redactor = worker_redactor(stack.settings, environment())
        logs.configure(stack.settings.log_level, stack.settings.log_format, redactor)
        print(stack.announcement, flush=True)
        with data_lock(stack.settings.data_dir) as lock:
            run(stack, given, lock)
    except RetrainError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
