"""What `make up` starts, decided from the settings and from what answers on this machine."""

import hashlib
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from honcho.environ import parse_procfile

from deploy.firewall.iptables import tables
from shared.errors import ConfigurationError
from shared.live_secrets import environment as environment_with_file
from shared.own_addresses import EVERYWHERE, HOST_FROM_CONTAINER, is_loopback, own_loopback, reachable_at
from shared.own_files import GUARD_KEY
from shared.proxies import go_directly_to_own_parts
from shared.settings import Settings
from worker.runners.kind import TrainingNetwork
from worker.runners.registry import RUNNERS

FOLDER = Path(__file__).resolve().parents[2]
MLFLOW_PORT = 5007
WORKER_METRICS_PORT = 5006
# The C library gives each thread that allocates a heap of its own, up to eight for each core, and keeps what is freed
# there. Python runs one thread at a time, so two do. What the operator says is left alone.
ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": str(128 * 1024)}


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
    seen = environment_with_file()
    environment = {**ALLOCATOR, **settings_in(seen), **os.environ, "DATA_DIR": str(data), "PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if "worker_host" not in given:  # a laptop's name changes with its network, and jobs belong to a host by its name
        environment["WORKER_HOST"] = _kept(data / "worker-host", asked.worker_host)
    if "git_schemes" not in given:
        environment["GIT_SCHEMES"] = "https,ssh,file"  # this machine's own user is the operator
    if "git_private_networks" not in given and not asked.api_tokens and not asked.serves_public_address:
        environment["GIT_PRIVATE_NETWORKS"] = "true"  # whoever may send requests is in that network, too
    go_directly_to_own_parts(environment, asked)
    processes = dict(parse_procfile((FOLDER / "deploy/Procfile").read_text()).processes)
    if "redis_url" in given:
        del processes["redis"]
    else:
        password = _kept_secret(data / "redis-password")
        environment["REDIS_URL"] = f"redis://:{password}@{reachable_at(own_loopback())}:{asked.redis_port}/0"
    if "flower_basic_auth" not in given:
        environment["FLOWER_BASIC_AUTH"] = f"admin:{_kept_secret(data / 'flower-password')}"
    if "worker_metrics_port" not in given:
        environment["WORKER_METRICS_PORT"] = str(WORKER_METRICS_PORT)
    environment["RUNNER"], announcement = _choose_runner(asked.runner if "runner" in given else "", seen)
    find_network, network, confinement = RUNNERS.load(environment["RUNNER"]).find_network, None, ""
    if "container_network" not in given and (own := find_network(network_name(data))):
        network, confinement = _network_of_trainings(own, data, environment, processes)
    _choose_mlflow(asked, environment, processes)
    os.environ.update(environment)
    settings = Settings.load()
    bridge = network or find_network()
    if bridge and _wants_guard(settings) and (address := bridge.find_address(os.environ)):
        if "mlflow" in processes:  # which is then the guard, too
            processes["mlflow"] += f" {address}"
        else:
            processes["guard"] = f"exec python -m deploy.mlflow_guard {address}"
        environment["TRACKING_GUARD_URI"] = os.environ["TRACKING_GUARD_URI"] = guard = _guard_uri(settings)
        environment.pop("TRACKING_GUARD_KEY", None)
        environment["TRACKING_GUARD_KEY_FILE"] = str(_written(data / GUARD_KEY, settings.attempt_key()))
        environment["TRACKING_GATEWAY"] = guard.replace(HOST_FROM_CONTAINER, address)
        settings = Settings.load()
    return Stack(settings, environment, processes, f"{announcement}{confinement}", network)


def _choose_mlflow(asked: Settings, environment: dict[str, str], processes: dict[str, str]) -> None:
    """Start our own server where the tracking address is one of loopback, and let it listen there."""
    url = urlsplit(asked.mlflow_tracking_uri)
    host = url.hostname or ""
    if not is_loopback(host):
        del processes["mlflow"]
    elif not url.port:
        place = f"http://{reachable_at(host)}:{MLFLOW_PORT}"
        raise ConfigurationError(f"MLFLOW_TRACKING_URI has no port, and make up starts MLflow there. Write {place}.")
    elif "mlflow_server_host" not in asked.model_fields_set and not host.endswith("localhost"):
        environment["MLFLOW_SERVER_HOST"] = host


def settings_in(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the settings among them: the firewall reads its own in the environment only, and knows no .env."""
    return {name.upper(): value for name, value in variables.items() if name.lower() in Settings.model_fields}


def network_name(data: Path) -> str:
    """Return the name of this stack's network: another stack on this machine has another one."""
    return f"retrain-{hashlib.sha256(str(data).encode()).hexdigest()[:7]}"


def _network_of_trainings(
    network: TrainingNetwork, data: Path, environment: dict[str, str], processes: dict[str, str]
) -> tuple[TrainingNetwork | None, str]:
    """Make the network, with the firewall where this user may set one up; and say what trainings reach.

    A machine where that does not work trains on Docker's default bridge, as ever.
    """
    if refusal := network.ensure(environment):
        return None, f"\nTrainings reach each other and private networks: {refusal}"
    environment["CONTAINER_NETWORK"] = network.name
    address = network.find_address(environment)
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
    """Return whether trainings on a network of their own reach MLflow over its bridge, by an address of ours."""
    is_bridged = settings.container_network != "host"
    is_ours = not settings.container_tracking_uri
    return is_bridged and is_ours and urlsplit(settings.mlflow_tracking_uri).scheme in ("http", "https")


def _guard_uri(settings: Settings) -> str:
    """Return the guard's address for containers; with the port of our own server if it guards that.

    Where that listens at all addresses of this machine, it has the port at the bridge's, too.
    """
    asked = urlsplit(settings.mlflow_tracking_uri)
    port = (asked.port if is_loopback(asked.hostname) else None) or MLFLOW_PORT
    is_taken = is_loopback(asked.hostname) and settings.mlflow_server_host in EVERYWHERE
    return f"http://{HOST_FROM_CONTAINER}:{port + is_taken}"


def _choose_runner(asked: str, seen: Mapping[str, str]) -> tuple[str, str]:
    if asked == "process":
        return "process", "Training runs as plain processes of your user: no isolation, no limits (RUNNER=process)."
    name = asked or "docker"
    if version := RUNNERS.load(name).find_version(seen):
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


def _written(path: Path, text: str) -> Path:
    """Write a file that only its owner can read; return it."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(f"{text}\n")
    return path


def _kept(path: Path, first: str) -> str:
    """Return the file's text; the first time, write it."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(first)
    return path.read_text()
