"""The exit codes, on which scripts rely."""

from ..client import JobHandle

SERVICE_ERROR = 2  # the same as click's for wrong usage
NOT_SENT = 1
TIMEOUT = 4
INTERRUPTED = 130
EXIT_CODES = {"succeeded": 0, "failed": 1, "cancelled": 3}


def exit_code(job: JobHandle) -> int:
    """Return the exit code for a job that has ended."""
    return EXIT_CODES[job.state]
