"""Limits how much disk an attempt's source may take, counted before it is unpacked or downloaded."""

from dataclasses import dataclass, field

from shared.errors import Code, UserError

BLOCK_BYTES = 4096  # the disk space that a file of one byte takes


@dataclass(frozen=True)
class SourceLimits:
    """What one source may use: SOURCE_MAX_FILES and SOURCE_MAX_BYTES, and the space that it must leave free."""

    max_files: int = 200_000
    max_bytes: int = 10**10
    least_free_bytes: int = 0

    def too_large(self, uri: str) -> UserError:
        """Return the error for a source that exceeds the limits."""
        return UserError(
            Code.SOURCE_TOO_LARGE,
            f"{uri} unpacks to more than {self.max_files:,} files and folders, or more than {self.max_bytes:,} bytes, "
            "with its submodules and Git LFS files. Train from a smaller repository and let the training fetch its "
            "data, or ask the operator to raise SOURCE_MAX_FILES and SOURCE_MAX_BYTES.",
            uri=uri,
            max_files=self.max_files,
            max_bytes=self.max_bytes,
        )


DEFAULT = SourceLimits()


@dataclass
class Allowance:
    """What is left of the limits: the repository, its submodules and its LFS files share one allowance."""

    limits: SourceLimits
    uri: str
    files: int = field(init=False, default=0)
    size_bytes: int = field(init=False, default=0)

    def take(self, *, files: int, size_bytes: int) -> None:
        """Deduct files, counted in whole blocks; raise SOURCE_TOO_LARGE if that exceeds the limits."""
        self.files += files
        self.size_bytes += -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
        if self.files > self.limits.max_files or self.size_bytes > self.limits.max_bytes:
            raise self.limits.too_large(self.uri)
