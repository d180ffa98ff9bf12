"""`make up`: the whole service on one machine, under one supervisor (honcho, deploy/Procfile), with its data kept."""

import argparse
import fcntl
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from honcho.manager import Manager
from honcho.printer import Printer

from deploy.one_machine.bound import BoundProcess
from deploy.one_machine.plan import FOLDER, Stack, plan
from deploy.one_machine.ports import refuse_taken_ports
from deploy.one_machine.process_secrets import environment_of
from deploy.one_machine.readiness import addresses, announce_when_ready
from shared import logs
from shared.errors import ConfigurationError, RetrainError
from shared.live_secrets import environment
from shared.own_files import CHOSEN_BY_MAKE_UP, close_to_others, keep_files_private
from shared.sql import SqlStore, schema
from worker.host.machine import this_machine
from worker.runners.registry import worker_redactor

SIGNALLED = (130, 143)  # by Ctrl-C or SIGTERM
# Settings that are decided at the start where nobody gives them, and that the doctor has to know. None is a secret.
CHOSEN = (
    *("RUNNER", "WORKER_HOST", "GIT_SCHEMES", "GIT_PRIVATE_NETWORKS", "CONTAINER_NETWORK", "CONTAINER_HOST_ADDRESS"),
    *("TRACKING_GUARD_URI", "TRAINING_FIREWALL_FILE"),
)


@contextmanager
def data_lock(folder: Path) -> Iterator[None]:
    """Keep a second stack away from the same data."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "stack.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"A stack runs on {folder} already. Stop it first.") from error
        yield


def running_stack(folder: Path) -> dict[str, str] | None:
    """Return the addresses of the stack that runs on this data, or None."""
    try:
        with data_lock(folder):
            return None
    except ConfigurationError:
        urls: dict[str, str] = json.loads((folder / "stack.json").read_text())
        return urls


def run(stack: Stack) -> int:
    """Run the stack until it is told to stop; its exit code."""
    refuse_taken_ports(stack)
    store = SqlStore(stack.settings.store_url)
    schema.upgrade(store)
    store.leave(
        stack.settings.worker_host, this_machine(stack.settings)
    )  # what an earlier worker said says nothing of the one that comes
    store.close()
    (stack.settings.data_dir / "stack.json").write_text(json.dumps(addresses(stack)))
    is_text = stack.settings.log_format == "text"  # the name of a process before its line would make it no JSON
    manager = Manager(Printer(sys.stdout, prefix=is_text))
    manager._process_ctor = BoundProcess  # there is no public way
    lent = stack.settings.project_env_allowlist
    for name, command in stack.processes.items():
        manager.add_process(name, command, env=environment_of(name, stack.environment, lent=lent), cwd=str(FOLDER))
    threading.Thread(target=announce_when_ready, args=(stack,), daemon=True).start()
    with chosen_settings_kept(stack):
        manager.loop()
    if stack.network is not None:
        stack.network.remove_unused(os.environ)
    if manager.returncode not in SIGNALLED:
        print("\nA process ended by itself (its last lines above say why), so all were stopped.", flush=True)
    return 0 if manager.returncode in SIGNALLED else manager.returncode or 1


@contextmanager
def chosen_settings_kept(stack: Stack) -> Iterator[None]:
    """Let the doctor, which is started by itself, find what was decided here for as long as it holds."""
    file = stack.settings.data_dir / CHOSEN_BY_MAKE_UP
    file.write_text(json.dumps({name: stack.environment[name] for name in CHOSEN if name in stack.environment}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def main() -> int:
    """Start the stack and stay until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="make up",
        description="Start Redis, MLflow, the API, a worker and Flower on this machine; Ctrl-C stops them.",
        epilog="Settings come from the environment and .env; docs/reference/settings.md lists them.",
    )
    parser.parse_args()
    keep_files_private()
    try:
        stack = plan()
        close_to_others(stack.settings.data_dir)
        redactor = worker_redactor(stack.settings, environment())
        logs.configure(stack.settings.log_level, stack.settings.log_format, redactor)
        print(stack.announcement, flush=True)
        with data_lock(stack.settings.data_dir):
            code = run(stack)
    except RetrainError as error:
        print(error, file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
