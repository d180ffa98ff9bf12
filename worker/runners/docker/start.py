"""Plans how an attempt's command starts in its image, and finds out why an ended container never ran it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docker import DockerClient
from docker.errors import ImageNotFound

from shared.errors import UserError
from worker.runners.docker.entrypoint import launch
from worker.runners.docker.failures import (
    fixed_command,
    foreign_image,
    never_began,
    no_shell,
    not_run_by_entrypoint,
)
from worker.runners.docker.files import has_file
from worker.runners.docker.image_reference import require_image
from worker.runners.docker.project_archive import start_folder
from worker.runners.launch import PROOF, START, start_script
from worker.runners.seam import AttemptSpec

PROOF_LABEL = "retrain.proof"  # the file's path; containers of earlier versions have none
SHELL = "/bin/sh"


@dataclass(frozen=True)
class Start:
    """How the container is created, and the script that starts the command."""

    entrypoint: list[str]
    argv: list[str]
    labels: Mapping[str, str]
    script: bytes
    image_user: str = ""


@dataclass(frozen=True)
class Made:
    """An attempt's container, new or found. ``user`` is who it runs as, as the image or the operator names them."""

    id: str
    user: str
    is_started: bool = False


def plan_start(config: Mapping[str, Any], spec: AttemptSpec) -> Start:
    """Read the ENTRYPOINT in the image's configuration; raise UserError if it cannot run a command."""
    image = require_image(spec.image)
    entrypoint = config.get("Entrypoint") or []
    plan = launch(entrypoint, spec.command)
    if plan is None:
        raise fixed_command(image, shlex.join(entrypoint))
    folder = start_folder(spec.name)
    return Start(
        entrypoint=list(plan.wrapper) or [SHELL],
        argv=[f"{folder}/{START}"],
        labels={PROOF_LABEL: f"{folder}/{PROOF}"},
        script=start_script(plan.command, prelude=spec.prelude, options=plan.options),
        image_user=config.get("User") or "",
    )


def find_why_not_begun(client: DockerClient, container: Mapping[str, Any]) -> UserError | None:
    """Return why an ended container never ran its command; None if it did. ``container`` is as inspected."""
    api, config, code = client.api, container["Config"], container["State"]["ExitCode"]
    proof = (config["Labels"] or {}).get(PROOF_LABEL)
    if proof is None or has_file(api, container["Id"], proof):
        return None
    image, entrypoint = _find_image(client, container["Image"]), config["Entrypoint"] or []
    name = next(iter(image.get("RepoTags") or []), config["Image"])
    if not has_file(api, container["Id"], SHELL):
        return no_shell(name)
    if code != 0 and (platforms := _different_platforms(client, image)):
        return foreign_image(name, *platforms)
    if entrypoint != [SHELL]:
        return not_run_by_entrypoint(name, shlex.join(entrypoint), code)
    return never_began(name, code)


def _find_image(client: DockerClient, image_id: str) -> Mapping[str, Any]:
    try:
        return client.images.get(image_id).attrs
    except ImageNotFound:  # removed by force while in use
        return {}


def _different_platforms(client: DockerClient, image: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the image's platform and the engine's if they differ; an emulator may run it all the same."""
    here = client.version()
    found = (f"{image.get('Os')}/{image.get('Architecture')}", f"{here['Os']}/{here['Arch']}")
    return found if image and found[0] != found[1] else None
