"""Builds the errors for what can go wrong with a container; `DockerRunner` turns the engine's errors into these."""

import errno
import re

from shared.errors import AttemptTimeout, Code, InfrastructureError, UserError
from worker.runners.seam import AttemptSpec, Handle

REASON_CHARACTERS = 500
UNKNOWN_RUNTIME = re.compile(r"(?i)unknown (or invalid )?runtime")


def no_image() -> UserError:
    """Return the error for a project without an image."""
    return UserError(
        Code.INVALID_PROJECT,
        "The project names no image, and its container needs one. Add 'docker_env: {image: ...}' to its MLproject.",
    )


def pull_failed(image: str, why: str) -> InfrastructureError:
    """Return the error for an image that cannot be pulled."""
    why = why[:REASON_CHARACTERS]
    message = f"Image '{image}' could not be pulled: {why}. Check its name, that it was pushed, and `docker login`."
    return InfrastructureError(Code.IMAGE_PULL_FAILED, message, image=image)


def pull_timeout(image: str, timeout_seconds: float) -> AttemptTimeout:
    """Return the error for a pull that took too long."""
    message = f"Image '{image}' was not pulled within {timeout_seconds:g} s. Allow more, or pull it on the host first."
    return AttemptTimeout(Code.PULL_TIMEOUT, message, image=image, timeout_seconds=timeout_seconds)


def refused(spec: AttemptSpec, *, status: int | None, why: str) -> UserError | InfrastructureError:
    """Return the error for an engine's refusal. Status 400 blames the request, any other the host."""
    facts: dict[str, object] = {"name": spec.name, "image": spec.image, "status": status}
    message = f"Docker did not start a container of image '{spec.image}': {why[:REASON_CHARACTERS]}."
    if "no space left on device" in why:
        return InfrastructureError(Code.DISK_FULL, f"{message} Free space on the engine's disk.", **facts)
    if UNKNOWN_RUNTIME.search(why):
        return InfrastructureError(Code.CONTAINER_FAILED, f"{message} Correct CONTAINER_RUNTIME.", **facts)
    if status == 400:
        return UserError(Code.CONTAINER_FAILED, f"{message} Check the image and the resources asked for.", **facts)
    return InfrastructureError(Code.CONTAINER_FAILED, f"{message} Check the engine's set-up on this host.", **facts)


def fixed_command(image: str, entrypoint: str) -> UserError:
    """Return the error for an ENTRYPOINT that takes no command."""
    return _of_image(
        image,
        f"has the ENTRYPOINT {_shown(entrypoint)}, a fixed command: it would run that, and not the project's. "
        'Write it as a list that ends in exec "$@", or leave it out of the image.',
    )


def not_run_by_entrypoint(image: str, entrypoint: str, exit_code: int) -> UserError:
    """Return the error for an ENTRYPOINT that ended without running the command."""
    return _of_image(
        image,
        f"has the ENTRYPOINT {_shown(entrypoint)}, which ended with exit code {exit_code} and never ran the project's "
        'command. Let it run its arguments, as a script does that ends in exec "$@", or leave it out of the image.',
    )


def no_shell(image: str) -> UserError:
    """Return the error for an image without a shell."""
    return _of_image(image, "has no /bin/sh, which starts a project's command. Build it on one that has a shell.")


def foreign_image(image: str, platform: str, host: str) -> UserError:
    """Return the error for an image whose programs this host cannot run."""
    return _of_image(
        image,
        f"is for {platform}, but this host is {host} and cannot run its programs. Build the image for this host "
        f"(docker build --platform {host}), or choose another by resources.host or host_labels.",
    )


def never_began(image: str, exit_code: int) -> UserError:
    """Return the error for a shell that ended before the command began."""
    return _of_image(image, f"was started and ended with exit code {exit_code} before the project's command began.")


def _of_image(image: str, problem: str) -> UserError:
    return UserError(Code.CONTAINER_FAILED, f"Image '{image}' {problem}", image=image)


def _shown(entrypoint: str) -> str:
    return f"[{entrypoint[:REASON_CHARACTERS]}]"


def not_packed(spec: AttemptSpec, error: OSError) -> InfrastructureError:
    """Return the error for a project whose files could not be read or written on this host."""
    code = Code.DISK_FULL if error.errno == errno.ENOSPC else Code.CONTAINER_FAILED
    message = f"The project of '{spec.name}' could not be packed: {error}. Check this host's temporary folder."
    return InfrastructureError(code, message, name=spec.name)


def lost(handle: Handle, what: str) -> InfrastructureError:
    """Return the error for an attempt whose container is gone."""
    message = f"Container '{handle.name}' is {what}. How its command ended is not known."
    return InfrastructureError(Code.CONTAINER_LOST, message, name=handle.name, container=handle.id)


def unavailable(doing: str, error: Exception, **facts: object) -> InfrastructureError:
    """Return the error for an engine that does not answer, or fails."""
    why = str(error)[:REASON_CHARACTERS]
    message = f"Docker did not {doing}: {why}. Check that the engine runs and that this user may reach it."
    return InfrastructureError(Code.DOCKER_UNAVAILABLE, message, **facts)
