"""Checks whether a disk has the room that attempts need to start."""

from pathlib import Path

from worker.findings.finding import Finding, failure, ok
from worker.folder_tree import free_bytes


def disk(subject: str, folder: Path, low_bytes: int) -> Finding:
    """Compare the free space on the folder's disk with DISK_LOW_BYTES."""
    free = free_bytes(folder)
    seen = f"{free / 1e9:.1f} GB free at {folder}"
    if free >= low_bytes:
        return ok(subject, seen)
    advice = (
        f"No attempt starts with less than DISK_LOW_BYTES ({low_bytes / 1e9:.1f} GB). Free some (docker system df, "
        "docker image prune), or lower DISK_LOW_BYTES."
    )
    return failure(subject, seen, advice)
