"""Builds the errors for what can go wrong with a process."""

import errno
import os

from shared.errors import Code, InfrastructureError
from worker.runners.seam import AttemptSpec, Handle


def not_started(spec: AttemptSpec, error: OSError) -> InfrastructureError:
    # copytree reports many errors as one without an errno
    is_full = error.errno == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error)
    code = Code.DISK_FULL if is_full else Code.CONTAINER_FAILED
    message = f"Process '{spec.name}' did not start: {error}. Check the disk and the worker's state folder."
    return InfrastructureError(code, message, name=spec.name)


def not_begun(handle: Handle, code: int) -> InfrastructureError:
    message = f"Process '{handle.name}' ended with exit code {code} before the project's command began."
    return InfrastructureError(Code.CONTAINER_FAILED, message, name=handle.name, exit_code=code)


def lost(handle: Handle) -> InfrastructureError:
    message = (
        f"Process '{handle.name}' is gone without an exit code: it was killed from outside, or this host restarted."
    )
    return InfrastructureError(Code.CONTAINER_LOST, message, name=handle.name, process=handle.id)
