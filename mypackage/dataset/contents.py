"""Computes the digest of a file or folder: the same for the same names and bytes, wherever they are."""

import hashlib
from pathlib import Path


def digest_of(path: Path) -> str:
    """Return ``sha256:…``: a file's own, or that of a listing of a folder's files with theirs."""
    if path.is_file():
        return f"sha256:{_sha256(path)}"
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    listing = "".join(f"{_sha256(path / name)}  {name}\n" for name in files)
    return f"sha256:{hashlib.sha256(listing.encode(errors='surrogateescape')).hexdigest()}"


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
