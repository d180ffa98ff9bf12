"""Checks this host's Docker engine: that it answers, and is set up as training containers need it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shared.errors import InfrastructureError
from shared.settings import Settings
from worker.findings.clocks import compare
from worker.findings.disk import disk
from worker.findings.finding import Finding, failure, ok, skipped, warning
from worker.findings.network import root_cause
from worker.runners.docker.checks.gpu_access import check_gpus
from worker.runners.docker.checks.seen_from_containers import check_from_container
from worker.runners.docker.checks.trial_containers import TrialContainers
from worker.runners.docker.engine import Engine, engine_answers, engine_said
from worker.runners.firewall import is_fresh

SUBJECT = "Docker"
FIREWALL = "training firewall"
TIMEOUT_SECONDS = 8
RUNTIME = "runtime of containers"
SHIM = "io.containerd."  # an engine takes the name of a shim in its PATH, too
ROOT = "root in containers"
USER_NAMESPACES = {
    "rootless": "nobody on this host: the engine is rootless",
    "userns": "nobody on this host: the engine has userns-remap",
}
BUILT_IN = ("bridge", "default", "host", "none")
DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
NOT_RUNNING = "Start Docker (sudo systemctl start docker; journalctl -u docker says why not), or correct DOCKER_HOST."
WHY: dict[type[OSError], tuple[str, str]] = {  # the reason in words, and what to do
    PermissionError: (
        "permission denied",
        "Let this user reach it: put it into the group docker (sudo usermod -aG docker USER, and log in again), or a "
        "container into the group that owns it (group_add). Whoever can reach it is root on this host.",
    ),
    FileNotFoundError: (
        "there is no such socket",
        "Start Docker (sudo systemctl start docker), mount /var/run/docker.sock into the worker's container, "
        "or correct DOCKER_HOST. Without Docker, RUNNER=process trains as plain processes.",
    ),
    ConnectionRefusedError: ("nothing listens there", NOT_RUNNING),
}
WRONG_ADDRESS = (
    "Correct DOCKER_HOST: unset, unix:///var/run/docker.sock, or tcp://host:2376 with DOCKER_TLS_VERIFY and "
    "DOCKER_CERT_PATH. Check that this host can reach it."
)


def check_docker(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the engine, and let it start a container or two."""
    address = environment.get("DOCKER_HOST") or DEFAULT_ADDRESS
    if refusal := _refusal(address):
        words, advice = WHY.get(type(refusal), (root_cause(refusal), WRONG_ADDRESS))
        yield failure(SUBJECT, f"{address} does not answer: {words}", advice)
        return
    engine = Engine(environment, timeout_seconds=TIMEOUT_SECONDS)
    try:
        with engine_answers("tell about itself"):
            info = engine.client.api.info()
    except InfrastructureError as error:
        yield failure(SUBJECT, f"{address} does not answer: {engine_said(error)}", WRONG_ADDRESS)
        return
    ours = datetime.now(UTC)
    with closing(engine.client):
        yield ok(SUBJECT, f"answers, version {info.get('ServerVersion')}, {info.get('Name')}")
        yield from _set_up(info, settings)
        yield compare("Docker's", datetime.fromisoformat(info["SystemTime"]), ours)
        yield from _containers(engine, info, settings)


def _refusal(address: str) -> OSError | None:
    """Return why nothing answers there. Docker's own client only tells in prose, and leaves the socket open."""
    url = urlsplit(address)
    try:
        if url.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_SECONDS)
                connection.connect(url.path)
        elif url.scheme == "tcp" and url.hostname and url.port:
            socket.create_connection((url.hostname, url.port), TIMEOUT_SECONDS).close()
    except OSError as error:
        return error
    return None


def _set_up(info: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    if info.get("LiveRestoreEnabled"):
        yield ok("Docker live-restore", "on")
    else:
        advice = (
            'Put {"live-restore": true} into /etc/docker/daemon.json, and let the daemon read it: '
            "sudo systemctl reload docker. (A swarm cannot have it.)"
        )
        yield warning("Docker live-restore", "off: a restart of the daemon ends all training", advice)
    root = Path(info["DockerRootDir"])
    if root.is_dir():
        yield disk("disk of Docker", root, settings.disk_low_bytes)
    else:
        yield skipped("disk of Docker", f"{root} cannot be seen from here")


def _containers(engine: Engine, info: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    yield from _isolation(info, settings)
    trial = partial(TrialContainers(engine).first_output, **_runtime_options(settings))
    network = settings.container_network
    if network and not _has_network(engine, network):
        yield failure("training network", f"the engine has no network '{network}'", _advice_on(network))
        yield skipped("MLflow from containers", "there is no training network")
    else:
        yield ok("training network", network or "the default bridge")
        yield check_from_container(trial, settings)
    yield _firewall(settings)
    yield check_gpus(trial, info, settings.retrain_gpus)


def _isolation(info: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """Check that the engine knows the runtime; say who is root in a container."""
    wanted, known = settings.container_runtime, sorted(info.get("Runtimes") or {})
    if wanted and wanted not in known and not wanted.startswith(SHIM):
        advice = (
            "Install it, name it under runtimes in /etc/docker/daemon.json, and let the daemon read that (systemctl "
            f"reload docker); or correct CONTAINER_RUNTIME. The engine knows: {', '.join(known)}."
        )
        yield failure(RUNTIME, f"the engine has no runtime '{wanted}'", advice)
    else:
        yield ok(RUNTIME, wanted or f"the engine's default, {info.get('DefaultRuntime')}")
    options = {each.partition(",")[0].removeprefix("name=") for each in info.get("SecurityOptions") or []}
    if found := sorted(options & USER_NAMESPACES.keys()):
        yield ok(ROOT, USER_NAMESPACES[found[0]])
    else:
        yield ok(ROOT, "root on this host as well, without its capabilities (userns-remap would change that)")
    if found and settings.container_network == "host":
        advice = "Unset CONTAINER_NETWORK, or turn user namespaces off in the engine."
        yield failure("training network", "an engine with user namespaces refuses the host's network", advice)


def _runtime_options(settings: Settings) -> dict[str, Any]:
    return {"runtime": settings.container_runtime} if settings.container_runtime else {}


def _firewall(settings: Settings) -> Finding:
    file = settings.training_firewall_file
    if file is None:
        what = "there is none: trainings reach this host, private networks and the metadata address of a cloud"
        return skipped(FIREWALL, what)
    if is_fresh(file):
        return ok(FIREWALL, "its rules are in place")
    advice = "Start it again (docker compose up --detach firewall; make up starts its own); its log says why it ended."
    return failure(FIREWALL, f"{file} is not fresh: no attempt starts here", advice)


def _has_network(engine: Engine, name: str) -> bool:
    if name in BUILT_IN:
        return True
    with engine_answers("list its networks"):
        found = engine.client.api.networks(names=[name])  # also those whose name only contains it
    return any(name in (each["Name"], each["Id"]) for each in found)


def _advice_on(network: str) -> str:
    return f"Create it (docker network create {network}), start the stack that does, or correct CONTAINER_NETWORK."
