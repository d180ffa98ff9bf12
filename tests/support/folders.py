"""What is in a folder, for comparing."""

from pathlib import Path


def files_in(folder: Path) -> dict[str, str]:
    """The texts of all files, by their paths in the folder."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
