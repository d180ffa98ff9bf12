"""`make up`: the whole service on one machine, under one supervisor (honcho, deploy/Procfile), with its data kept."""

import argparse
import fcntl
import hashlib
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import requests
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Printer

from deploy.firewall import tables
from deploy.one_machine.bound import BoundProcess
from shared import logs
from shared.alerts.kinds import kinds
from shared.errors import ConfigurationError, RetrainError
from shared.live_secrets import environment
from shared.own_files import close_to_others, keep_files_private
from shared.secrets.files import is_secret, names_of
from shared.settings import HOST_FROM_CONTAINER, LOOPBACK, Settings
from shared.sql import SqlStore, schema
from worker.host.machine import this_machine
from worker.runners.kind import TrainingNetwork
from worker.runners.registry import RUNNERS, worker_redactor

FOLDER = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20
MLFLOW_PORT = 5007
REDIS_PORT = 6389
WORKER_METRICS_PORT = 5006
SIGNALLED = (130, 143)  # by Ctrl-C or SIGTERM
SECRETS = {  # and which processes need them; of alert channels the API needs to know that there are any
    "ALERT_WEBHOOKS": {"api", "worker"},
    "API_TOKENS": {"api"},
    "AZURE_STORAGE_ACCESS_KEY": {"mlflow"},
    "AZURE_STORAGE_CONNECTION_STRING": {"mlflow"},
    "DATABASE_URL": {"api", "worker"},
    "FLOWER_BASIC_AUTH": {"flower"},
    "MLFLOW_DATABASE_URL": {"mlflow"},
    "MLFLOW_TRACKING_PASSWORD": {"guard", "worker"},
    "REDIS_URL": {"api", "flower", "redis", "worker"},
    "SECRET_KEY": {"api", "worker"},
}


@dataclass(frozen=True)
class Stack:
    """What `make up` starts, and what its processes are told."""

    settings: Settings
    environment: Mapping[str, str]
    processes: Mapping[str, str]
    announcement: str
    network: TrainingNetwork | None = None  # that is ours


def plan() -> Stack:
    """Decide what is started here, from the settings and from what answers on this machine."""
    asked = Settings.load()
    given = asked.model_fields_set
    data = asked.data_dir.resolve()
    environment = {**os.environ, "DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if "worker_host" not in given:  # a laptop's name changes with its network, and jobs belong to a host by its name
        environment["WORKER_HOST"] = _kept(data / "worker-host", asked.worker_host)
    if "git_schemes" not in given:
        environment["GIT_SCHEMES"] = "https,ssh,file"  # this machine's own user is the operator
    if "git_private_networks" not in given and not asked.api_tokens and not asked.serves_public_address:
        environment["GIT_PRIVATE_NETWORKS"] = "true"  # whoever may send requests is in that network, too
    processes = dict(parse_procfile((FOLDER / "deploy/Procfile").read_text()).processes)
    if "redis_url" in given:
        del processes["redis"]
    else:
        password = _kept_secret(data / "redis-password")
        environment["REDIS_URL"] = f"redis://:{password}@127.0.0.1:{environment.get('REDIS_PORT', REDIS_PORT)}/0"
    if "flower_basic_auth" not in given:
        environment["FLOWER_BASIC_AUTH"] = f"admin:{_kept_secret(data / 'flower-password')}"
    if "worker_metrics_port" not in given:
        environment["WORKER_METRICS_PORT"] = str(WORKER_METRICS_PORT)
    environment["RUNNER"], announcement = _choose_runner(asked.runner if "runner" in given else "")
    find_network, network, confinement = RUNNERS.load(environment["RUNNER"]).find_network, None, ""
    if "container_network" not in given and (own := find_network(network_name(data))):
        network, confinement = _network_of_trainings(own, data, environment, processes)
    os.environ.update(environment)
    settings = Settings.load()
    bridge = network or find_network()
    if urlsplit(settings.mlflow_tracking_uri).hostname not in LOOPBACK:
        del processes["mlflow"]
    if bridge and _wants_guard(settings) and (address := bridge.find_address(os.environ)):
        processes["guard"] = f"exec python -m deploy.mlflow_guard {address}"
        environment["TRACKING_GUARD_URI"] = os.environ["TRACKING_GUARD_URI"] = guard = _guard_uri(settings)
        environment["TRACKING_GATEWAY"] = guard.replace(HOST_FROM_CONTAINER, address)
        settings = Settings.load()
    return Stack(settings, environment, processes, f"{announcement}{confinement}", network)


def network_name(data: Path) -> str:
    """The network of the stack with these data: another stack on this machine has another one."""
    return f"retrain-{hashlib.sha256(str(data).encode()).hexdigest()[:7]}"


def _network_of_trainings(
    network: TrainingNetwork, data: Path, environment: dict[str, str], processes: dict[str, str]
) -> tuple[TrainingNetwork | None, str]:
    """Make the network, with the firewall where this user may set one up; and say what trainings reach.

    A machine where that does not work trains on Docker's default bridge, as ever.
    """
    if refusal := network.ensure(os.environ):
        return None, f"\nTrainings reach each other and private networks: {refusal}"
    environment["CONTAINER_NETWORK"] = network.name
    address = network.find_address(os.environ)
    if address is not None:
        environment["CONTAINER_HOST_ADDRESS"] = address
    if address is None or tables() is None:
        return (
            network,
            "\nTrainings do not reach each other, but private networks (a firewall takes root and iptables).",
        )
    environment["TRAINING_BRIDGE"] = network.bridge
    environment["TRAINING_FIREWALL_FILE"] = str(data / "firewall")
    processes["firewall"] = "exec python -m deploy.firewall"
    return network, "\nTrainings do not reach each other, nor private networks but TRAINING_ALLOWED_NETWORKS."


def _wants_guard(settings: Settings) -> bool:
    """Whether trainings on a network of their own reach MLflow over its bridge, by an address of ours."""
    is_bridged = settings.container_network != "host"
    is_ours = not settings.container_tracking_uri
    return is_bridged and is_ours and urlsplit(settings.mlflow_tracking_uri).scheme in ("http", "https")


def _guard_uri(settings: Settings) -> str:
    """The guard as containers know it; at the port of our own server where it stands before that."""
    asked = urlsplit(settings.mlflow_tracking_uri)
    port = asked.port if asked.hostname in LOOPBACK else None
    return f"http://{HOST_FROM_CONTAINER}:{port or MLFLOW_PORT}"


def environment_of(process: str, environment: Mapping[str, str], *, lent: Collection[str]) -> dict[str, str]:
    """The environment without the secrets that are not this process's business.

    ``lent``: variables that projects may copy, so that a worker needs them, too.
    """
    known = {**SECRETS, **_secrets_of_channels()}
    business = {**known, **{name: known[name] | {"worker"} for name in lent if name in known}}
    return {name: value for name, value in environment.items() if process in business.get(name.upper(), {process})}


def _secrets_of_channels() -> dict[str, set[str]]:
    """The secrets of alert channels; the API needs to know where alerts can go, and not how to send them."""
    return {
        variable.upper(): {"api", "worker"} if name == kind.switch else {"worker"}
        for kind in kinds().values()
        for name, field in kind.model_fields.items()
        if is_secret(field)
        for variable in names_of(field, name)
    }


def _choose_runner(asked: str) -> tuple[str, str]:
    if asked == "process":
        return "process", "Training runs as plain processes of your user: no isolation, no limits (RUNNER=process)."
    name = asked or "docker"
    if version := RUNNERS.load(name).find_version(os.environ):
        return name, f"Training runs {'in containers' if name == 'docker' else f'by RUNNER={name}'} ({version})."
    if asked:
        raise ConfigurationError(
            f"RUNNER={name}, but {name.capitalize()} does not answer. Start it, or use RUNNER=process."
        )
    return (
        "process",
        "Docker does not answer, so training runs as plain processes of your user: no isolation, no limits.\n"
        "Start Docker, or say RUNNER=docker to insist on it.",
    )


def _kept_secret(path: Path) -> str:
    return _kept(path, secrets.token_urlsafe(24))


def _kept(path: Path, first: str) -> str:
    """What the file says; the first time, what it is to say from now on."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(first)
    return path.read_text()


def ports(stack: Stack) -> dict[str, int]:
    """The ports that this stack's own processes listen on."""
    settings = stack.settings
    found = {
        "redis": urlsplit(settings.redis_url.get_secret_value()).port,
        "mlflow": urlsplit(settings.mlflow_tracking_uri).port,
        "api": settings.api_port,
        "worker": settings.worker_metrics_port,
        "flower": urlsplit(settings.flower_url).port,
    }
    return {name: port for name, port in found.items() if name in stack.processes and port}


def refuse_taken_ports(stack: Stack) -> None:
    """Raise ConfigurationError that says which port is taken by what."""
    variables = {
        "redis": "REDIS_PORT",
        "mlflow": "MLFLOW_TRACKING_URI",
        "api": "API_PORT",
        "worker": "WORKER_METRICS_PORT",
        "flower": "FLOWER_URL",
    }
    taken = [
        f"Port {port} ({name}) is taken by {_owner(port)}. Stop it, or choose another one with {variables[name]}."
        for name, port in ports(stack).items()
        if is_taken(port)
    ]
    if taken:
        raise ConfigurationError("\n".join(taken))


def is_taken(port: int) -> bool:
    """Whether something listens on this port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {process.pid}: {' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        pass  # macOS shows other users' sockets to root only
    return "another program"


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
    """The addresses of the stack that runs on this data, or None."""
    try:
        with data_lock(folder):
            return None
    except ConfigurationError:
        urls: dict[str, str] = json.loads((folder / "stack.json").read_text())
        return urls


def addresses(stack: Stack) -> dict[str, str]:
    """Where people find what."""
    settings = stack.settings
    return {
        "api": f"http://127.0.0.1:{settings.api_port}",
        "mlflow": settings.mlflow_tracking_uri,
        "flower": settings.flower_url,
        "runner": settings.runner,
    }


def _announce_when_ready(stack: Stack) -> None:
    urls, patience = addresses(stack), time.monotonic() + PATIENCE_SECONDS
    while absent := missing(urls):
        if time.monotonic() > patience:
            patience += PATIENCE_SECONDS
            print(f"\nStill waiting for {' and '.join(absent)}; its lines above may say why.\n", flush=True)
        time.sleep(0.3)
    print(
        f"\nReady. {stack.announcement}\n"
        f"  API     {urls['api']}/docs\n"
        f"  MLflow  {stack.settings.mlflow_public_url or urls['mlflow']}\n"
        f"  Flower  {urls['flower']} ({_flower_login(stack)})\n"
        f"  Metrics {' and '.join(_metrics_addresses(stack))}\n"
        f"  Data    {stack.settings.data_dir}\n"
        "Ctrl-C stops it; the data stays, and training that runs goes on.\n",
        flush=True,
    )


def _metrics_addresses(stack: Stack) -> list[str]:
    settings = stack.settings
    worker = f"http://{settings.worker_metrics_host}:{settings.worker_metrics_port}/metrics (of the worker)"
    return [f"{addresses(stack)['api']}/metrics", *([worker] if settings.worker_metrics_port else [])]


def _flower_login(stack: Stack) -> str:
    kept = stack.settings.data_dir / "flower-password"
    is_ours = kept.exists() and stack.settings.flower_basic_auth.get_secret_value() == f"admin:{kept.read_text()}"
    return f"user admin, password in {kept}" if is_ours else "user and password as in FLOWER_BASIC_AUTH"


def missing(urls: Mapping[str, str]) -> list[str]:
    """What does not answer yet, of the API with its store and Redis, a worker, and MLflow."""
    absent = [] if _answers(f"{urls['mlflow']}/health") else [f"MLflow at {urls['mlflow']}"]
    ready = _answers(f"{urls['api']}/readyz")
    if ready is None:
        return [f"the API at {urls['api']}", *absent]
    return absent if ready.json()["live_workers"] > 0 else ["a worker", *absent]


def _answers(url: str) -> requests.Response | None:
    try:
        answer = requests.get(url, timeout=5)
    except requests.RequestException:
        return None
    return answer if answer.ok else None


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
    threading.Thread(target=_announce_when_ready, args=(stack,), daemon=True).start()
    manager.loop()
    if stack.network is not None:
        stack.network.remove_unused(os.environ)
    if manager.returncode not in SIGNALLED:
        print("\nA process ended by itself (its last lines above say why), so all were stopped.", flush=True)
    return 0 if manager.returncode in SIGNALLED else manager.returncode or 1


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
