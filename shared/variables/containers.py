"""The settings of training containers: their limits, what confines them, and what they share."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.api_variables import ApiVariables
from shared.own_addresses import HOST_FROM_CONTAINER
from shared.setting_types import Networks4


class ContainerVariables(ApiVariables):
    """Each field is one environment variable of the same name in capitals."""

    attempt_memory_bytes: int | None = Field(
        None,
        ge=6 * 2**20,
        description="Memory of a container if the request does not say; empty for a share of the host's memory, "
        "by slots.",
    )
    attempt_memory_most_bytes: int | None = Field(
        None,
        ge=6 * 2**20,
        description="The most memory that a request may ask for; empty for the host's, minus the reserve.",
    )
    attempt_cpus: float | None = Field(
        None,
        ge=0.01,
        description="Cores of a container if the request does not say; empty for all cores, shared evenly.",
    )
    attempt_cpus_most: float | None = Field(
        None, ge=0.01, description="The most cores that a request may ask for; empty for the host's."
    )
    attempt_pids: int = Field(4096, ge=64, le=2**22, description="Processes and threads of a container at most.")
    container_network: str = Field("", description="Docker network of training containers; empty for Docker's default.")
    container_runtime: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        description="OCI runtime of training containers, such as runsc or crun; the engine must know it. Empty for the "
        "engine's default.",
    )
    container_user: str = Field(
        "",
        pattern=r"^([1-9][0-9]{0,8}:[0-9]{1,9})?$",
        description="uid:gid that training runs as, such as 1000:1000, unless the image's USER is another number than "
        "0; empty for the image's USER.",
        examples=["1000:1000"],
    )
    container_read_only_root: bool = Field(
        False, description="Whether training can change nothing of its image: it writes to its project, HOME and /tmp."
    )
    container_host_address: str = Field(
        "",
        pattern=r"^([0-9.]{7,15})?$",
        description=f"Address of {HOST_FROM_CONTAINER} in training containers; empty for Docker's own.",
    )
    training_allowed_networks: Networks4 = Field(
        frozenset(),
        description="Private networks that training may reach through the firewall, such as 10.1.2.0/24.",
    )
    training_firewall_file: Path | None = Field(
        None,
        description="File that the firewall keeps fresh; if it is stale, no attempt starts. Empty without a firewall.",
    )
    container_tracking_uri: str = Field(
        "",
        description="MLFLOW_TRACKING_URI inside containers; empty for the same address, with loopback replaced "
        f"by {HOST_FROM_CONTAINER} unless on the host's network.",
    )
    dataset_cache: str = Field(
        "",
        pattern=r"^(/.*|[A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        description="Host folder, or beginning of Docker volumes' names, for caches of datasets; empty for none.",
    )
    dataset_cache_of: Literal["project", "team", "all"] = Field(
        "project",
        description="Who shares a cache in DATASET_CACHE: the trainings of one repository and team, of one team, or "
        "all. Whoever shares it can change what the others train on. (The process runner: always all.)",
    )
    dataset_cache_bytes: int = Field(
        10**11, ge=1, description="Size limit of each cache; least recently used entries go first."
    )
