"""A second, real Docker engine: its own daemon, images, containers and bridge, beside this machine's own."""

import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import psutil

from tests.support.engines import docker_or_skip, require
from tests.support.network.devices import free_subnet, ip, remove_device, require_root
from tests.support.waiting import wait_until

START_SECONDS = 60
STOP_SECONDS = 60
KILL_SECONDS = 10
COPY_SECONDS = 300  # of an image, on a busy machine
CALL_SECONDS = 60
PROGRAMS = ("dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy")
CGROUPS = Path("/sys/fs/cgroup")
# A Unix socket's path has 107 characters at most, which a test's own folder may well have used up.
RUN = Path("/run")


@dataclass
class OwnEngine:
    """A daemon that a test may stop, kill and start. ``live_restore`` counts from the next start on.

    Its containers reach this machine at ``bridge_address`` and nothing else: it leaves iptables, which it would share
    with the machine's own engine, alone.
    """

    folder: Path
    run: Path
    bridge: str
    bridge_address: str
    live_restore: bool = True
    more: Sequence[str] = ()
    command: Sequence[str] = ("dockerd",)
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its DOCKER_HOST."""
        return f"unix://{self.run}/docker.sock"

    @property
    def log(self) -> str:
        """What its daemons have printed."""
        return (self.folder / "dockerd.log").read_text(errors="replace")

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """A client of it."""
        client = docker.DockerClient(base_url=self.url, timeout=CALL_SECONDS)
        try:
            yield client
        finally:
            client.close()

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        for left in ("docker.pid", "exec/containerd/containerd.pid"):  # by a daemon that was killed
            (self.run / left).unlink(missing_ok=True)
        with (self.folder / "dockerd.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*self.command, *self._options()], stdout=output, stderr=output, start_new_session=True
            )
        wait_until(self._answers_or_ended, timeout_seconds=START_SECONDS, every_seconds=0.1, what="an engine's answer")
        assert self._process.poll() is None, self.log[-3000:]

    def stop(self) -> None:
        """End the daemon as a service manager does; its containers end too, unless it is to restore them."""
        self._end(signal.SIGTERM, STOP_SECONDS)

    def restart(self) -> None:
        """End it and start it again."""
        self.stop()
        self.start()

    def kill(self) -> None:
        """Kill the daemon and its containerd; containers run on."""
        self._end(signal.SIGKILL, KILL_SECONDS)
        self._kill_left("containerd")

    def answers(self) -> bool:
        """Whether it answers a ping."""
        with socket.socket(socket.AF_UNIX) as connection:  # docker-py leaves one open where nobody listens
            connection.settimeout(CALL_SECONDS)
            try:
                connection.connect(self.url.removeprefix("unix://"))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(100)
            except OSError:
                return False

    def load_image(self, name: str) -> None:
        """Copy an image of the machine's engine."""
        source = docker_or_skip()
        try:
            with self.client() as client:
                client.api.timeout = source.api.timeout = COPY_SECONDS
                client.api.load_image(source.api.get_image(name))  # type: ignore[no-untyped-call]
        finally:
            source.close()

    def close(self) -> None:
        """End everything that it started, however a test left it, and remove every trace outside of its folders."""
        _kill_all_in(self.cgroup)
        if self._process is not None:
            with suppress(AssertionError):
                self.stop()
        self._kill_left(*PROGRAMS)
        _kill_all_in(self.cgroup)
        for mount in _mounts_below(self.run, self.folder):
            subprocess.run(["umount", "--lazy", mount], check=True, timeout=KILL_SECONDS)
        _remove_cgroups(self.cgroup)
        remove_device(self.bridge)

    @property
    def cgroup(self) -> str:
        """The control group that holds all its containers."""
        return self.run.name

    def _options(self) -> list[str]:
        return [
            *("--data-root", str(self.folder / "data"), "--exec-root", str(self.run / "exec")),
            *("--pidfile", str(self.run / "docker.pid"), "--host", self.url, "--config-file", self._configuration()),
            *(
                "--bridge",
                self.bridge,
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ),
            *("--cgroup-parent", f"/{self.cgroup}", "--exec-opt", "native.cgroupdriver=cgroupfs"),
            *("--containerd-namespace", self.cgroup, "--containerd-plugins-namespace", f"{self.cgroup}-plugins"),
            *(["--live-restore"] if self.live_restore else []),
            *self.more,
        ]

    def _configuration(self) -> str:
        """An empty one: the machine's own may say other things."""
        file = self.run / "daemon.json"
        file.write_text("{}")
        return str(file)

    def _answers_or_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None or self.answers()

    def _kill_left(self, *programs: str) -> None:
        def left() -> list[psutil.Process]:
            return _processes_with(str(self.run), programs)

        for process in left():
            process.kill()
        wait_until(lambda: not left(), timeout_seconds=KILL_SECONDS, what=f"no {programs} left")

    def _end(self, number: signal.Signals, seconds: float) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the engine runs on after {number.name}:\n{self.log[-3000:]}") from None


@contextmanager
def own_engine(
    folder: Path, *, live_restore: bool = True, more: Sequence[str] = (), command: Sequence[str] = ("dockerd",)
) -> Iterator[OwnEngine]:
    """An engine that keeps its images in the folder; at the end it is gone, with all that it ran.

    ``more`` are options of its daemon; ``command`` starts that.
    """
    require_root("dockerd", "containerd")
    require(CGROUPS.is_dir(), "control groups")
    folder.mkdir(parents=True, exist_ok=True)
    run = RUN / f"engine-{secrets.token_hex(4)}"  # not tempfile's name: containerd refuses some of them
    run.mkdir(mode=0o700)
    engine = OwnEngine(
        folder, run, f"rtb{secrets.token_hex(4)}", str(next(free_subnet().hosts())), live_restore, more, command
    )
    try:
        ip("link", "add", engine.bridge, "type", "bridge")
        ip("address", "add", f"{engine.bridge_address}/24", "dev", engine.bridge)
        ip("link", "set", engine.bridge, "up")
        engine.start()
        yield engine
    finally:
        engine.close()
        for each in RUN.glob(f"{run.name}*"):  # with user namespaces, there are two
            shutil.rmtree(each)
        shutil.rmtree(folder / "data", ignore_errors=True)


def _groups(name: str) -> list[Path]:
    """The control group in every hierarchy, deepest first: one of version 2, a dozen of version 1."""
    tops = [path for path in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")) if path.is_dir()]
    return sorted((path for top in tops for path in (top, *top.rglob("*")) if path.is_dir()), reverse=True)


def _kill_all_in(cgroup: str) -> None:
    for group in _groups(cgroup):
        for file, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):  # what is frozen cannot die
            with suppress(OSError):
                if (group / file).exists():
                    (group / file).write_text(text)
        with suppress(OSError):
            for pid in (group / "cgroup.procs").read_text().split():
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(int(pid)).kill()


def _remove_cgroups(cgroup: str) -> None:
    def is_removed() -> bool:
        for group in _groups(cgroup):
            with suppress(OSError):  # busy for a moment after its last process
                group.rmdir()
        return not _groups(cgroup)

    wait_until(is_removed, timeout_seconds=KILL_SECONDS, what="no control group left")


def _processes_with(argument: str, programs: Collection[str]) -> list[psutil.Process]:
    """Those of the programs that have this path among their arguments."""
    return [
        each
        for each in psutil.process_iter(["cmdline", "status"])
        if each.info["status"] != psutil.STATUS_ZOMBIE
        and (words := each.info["cmdline"])
        and Path(words[0]).name in programs
        and any(argument in word for word in words)
    ]


def _mounts_below(*folders: Path) -> list[str]:
    """What is mounted there, the last one first."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [each for each in reversed(mounted) if any(Path(each).is_relative_to(folder) for folder in folders)]
