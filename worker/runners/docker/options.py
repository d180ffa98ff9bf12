"""Builds the options for an attempt's container, its confinement, limits, devices and network, and creates it."""

from collections.abc import Mapping, Sequence
from typing import Any

from docker import APIClient

from shared.own_addresses import HOST_FROM_CONTAINER
from worker.runners.docker.confinement import AS_USUAL, Confinement
from worker.runners.docker.project_archive import PRIVATE_FOLDER
from worker.runners.docker.start import Start
from worker.runners.seam import LOG_BOUNDS, PROJECT_FOLDER, AttemptSpec, LogBounds

GPUS_LABEL = "retrain.gpus"
CPU_SHARES = 512  # half the share of the host's services and other containers, when cores are scarce
OOM_SCORE = 500  # if the host itself runs out of memory, training is killed before the job store
# What training as root needs in the usual images; nothing else of Docker's default list was missed.
CAPABILITIES = (
    "CHOWN",  # unpacking archives, apt and pip set owners
    "DAC_OVERRIDE",  # root reads and writes what belongs to the image's other users
    "FOWNER",  # and changes their modes and times
    "FSETID",  # packages install files with setgid
    "KILL",  # a supervisor running as root ends workers of other users
    "SETGID",  # an entrypoint that switches to another user: gosu, setpriv, su, and apt's own sandbox
    "SETUID",
)
SHM_BYTES = 1024**3  # data loaders pass tensors through /dev/shm; Docker's 64 MB end in a bus error
LOG_FILES = 2
INIT_ENV = {"TINI_KILL_PROCESS_GROUP": "1"}  # Docker's init passes SIGTERM on to the shell and to what it runs
# If NVIDIA's runtime is the engine's default, an image that asks for all GPUs in its environment, as NVIDIA's own
# images do, gets them without being given any. These variables override that.
GPUS_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
NO_GPUS = "void"
OF_CONTAINER = ("name", "labels", "environment", "working_dir", "stop_signal", "user")  # the others are of its host


def container_options(
    spec: AttemptSpec,
    labels: Mapping[str, str],
    log_bounds: LogBounds = LOG_BOUNDS,
    *,
    confinement: Confinement = AS_USUAL,
    image_user: str = "",
) -> dict[str, Any]:
    """Return docker-py's options for the attempt's container, of an image with that USER."""
    paths = {spec.private_env[name]: f"{PRIVATE_FOLDER}/{name}" for name in spec.private_files}
    about = {"retrain.job": spec.job_id, "retrain.attempt": str(spec.attempt)}
    gpus = ",".join(spec.gpu_ids)
    visible = NO_GPUS if _are_cdi_names(spec.gpu_ids) else gpus
    options: dict[str, Any] = {
        "name": spec.name,
        "labels": {**about, **({GPUS_LABEL: gpus} if gpus else {}), **labels},
        "environment": {**INIT_ENV, **confinement.variables(image_user), **spec.env, **paths, GPUS_VARIABLE: visible},
        "working_dir": PROJECT_FOLDER,
        "init": True,
        "stop_signal": "SIGTERM",
        "security_opt": ["no-new-privileges"],
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "pids_limit": spec.pids,
        "cpu_shares": CPU_SHARES,
        "oom_score_adj": OOM_SCORE,
        "shm_size": SHM_BYTES,
        "log_config": _log_config(log_bounds),
        "volumes": {each.source: {"bind": each.target, "mode": each.mode} for each in spec.volumes},
    }
    confined = confinement.options(spec, image_user)
    return options | _limits(spec) | network_options(spec.network, spec.host_address) | confined


def create(api: APIClient, image: str, start: Start, options: Mapping[str, Any]) -> str:
    """Create a container, and return its id.

    The call of docker-py that takes the options as they are inspects what it has made, which nobody needs.
    """
    own = {name: options[name] for name in OF_CONTAINER if name in options}
    host = {name: value for name, value in options.items() if name not in own}
    if network := host.pop("network", None):
        own["networking_config"] = {network: None}
        host["network_mode"] = network
    if binds := host.pop("volumes", None):
        own["volumes"] = [each["bind"] for each in binds.values()]
        host["binds"] = binds
    config = api.create_host_config(**host)
    return str(api.create_container(image, start.argv, entrypoint=start.entrypoint, host_config=config, **own)["Id"])


def gpus_in(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the GPUs that a container's labels say it was given."""
    return tuple(gpu for gpu in labels.get(GPUS_LABEL, "").split(",") if gpu)


def _log_config(bounds: LogBounds) -> dict[str, Any]:
    """Let the engine discard output only if it is a flood.

    A host's own defaults (often 10 MB) would discard output that was not read yet, and without any bound the disk
    would fill up while no worker looks.
    """
    size = max(1, bounds.flood_bytes // LOG_FILES)
    return {"type": "json-file", "config": {"max-size": str(size), "max-file": str(LOG_FILES)}}


def _limits(spec: AttemptSpec) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if spec.cpus:
        limits["nano_cpus"] = int(spec.cpus * 1e9)
    if spec.memory_bytes:  # no swap on top: beyond the limit it is killed, and says so, instead of crawling
        limits["mem_limit"] = limits["memswap_limit"] = spec.memory_bytes
    if spec.gpu_ids:
        limits["device_requests"] = [device_request(list(spec.gpu_ids))]
    return limits


def device_request(gpu_ids: list[str]) -> dict[str, Any]:
    """Return the option that gives a container these GPUs."""
    if _are_cdi_names(gpu_ids):
        return {"driver": "cdi", "device_ids": gpu_ids}
    return {"device_ids": gpu_ids, "capabilities": [["gpu"]]}


def _are_cdi_names(gpu_ids: Sequence[str]) -> bool:
    """Return whether these are names of devices that the engine discovered, not NVIDIA's; true for no GPUs, too."""
    return all("/" in each and "=" in each for each in gpu_ids)


def network_options(network: str | None, host_address: str = "") -> dict[str, Any]:
    """Return the options that put a container on the training network, with a name for this machine."""
    if network == "host":
        return {"network": network}
    options: dict[str, Any] = {"extra_hosts": {HOST_FROM_CONTAINER: host_address or "host-gateway"}}
    return options | {"network": network} if network else options
