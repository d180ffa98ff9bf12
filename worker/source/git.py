"""The one module that runs git: it sets each command's environment, credentials, deadline and limits."""

import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.errors import AttemptError, AttemptTimeout, Code, UserError
from shared.secrets.redactor import Redactor
from worker.interruption import LOOK_SECONDS
from worker.source.deadline import Deadline
from worker.source.git_errors import REDIRECTED, explain, not_git, too_large
from worker.source.git_output import MAX_STDOUT_BYTES, TooMuchOutput, read_output
from worker.source.logins import Logins
from worker.source.way_out.door import Door

MEMORY_BYTES = 4 * 1024**3  # a delta of a few bytes may unpack to an object of any size
# The limits are set by a shell, because Python may run nothing of ours between fork and exec in a process with threads.
# With the signal ignored, git is told that the file is too large, says so, and removes it.
LIMITED = 'trap "" XFSZ; { ulimit -c 0; ulimit -f "$1"; ulimit -d "$2"; } 2>/dev/null; shift 2; exec git "$@"'
TERMINATE_SECONDS = 3  # git removes its lock files on SIGTERM; on SIGKILL it leaves them
PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|XDG_CONFIG_HOME|SSH_AUTH_SOCK|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)"
    r"|GIT_SSL_[A-Z_]+|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY"
)
PROXY = re.compile(r"(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY")
SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=accept-new"
ALWAYS = (
    ("advice.detachedHead", "false"),
    ("core.askPass", ""),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),  # a fetch is one pack, so that the mirror can count them
    ("filter.lfs.clean", ""),  # git-lfs would download without our checks; lfs.py does it with them
    ("filter.lfs.process", ""),
    ("filter.lfs.required", "false"),
    ("filter.lfs.smudge", ""),
    ("gc.auto", "0"),  # a gc that git starts on its own outlives the command
    ("http.lowSpeedLimit", "1"),  # a host that counts objects sends little, but it does send
    ("http.lowSpeedTime", "120"),
    ("init.defaultBranch", "main"),
    ("maintenance.auto", "false"),
    ("protocol.allow", "never"),
    ("safe.directory", "*"),
    ("submodule.recurse", "false"),
)


@dataclass(frozen=True)
class GitResult:
    """What a git command answered; the end of stderr is as git wrote it, not redacted."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.exit_code == 0

    def says(self, *phrases: str) -> bool:
        """Return whether git complained in one of these phrases."""
        return any(phrase in self.stderr for phrase in phrases)

    @property
    def redirected(self) -> bool:
        """Whether the host redirected git to an address that it may not follow."""
        return REDIRECTED.search(self.stderr) is not None


@dataclass(frozen=True)
class Git:
    """git, for one repository and one attempt. Its processes inherit the descriptors in ``keep_open``."""

    uri: str
    deadline: Deadline
    schemes: frozenset[str]
    environ: Mapping[str, str] = field(repr=False)
    logins: Logins = field(default_factory=Logins)
    follow_redirects: bool = False
    keep_open: tuple[int, ...] = ()
    max_file_bytes: int | None = None  # a pack that gets larger ends the command
    door: Door | None = None  # the way out; without it, git's own
    is_traced: bool = False  # whether stderr tells each line of git's protocol

    def local(self) -> "Git":
        """Return the same, but only for repositories on this machine, and without logins."""
        return replace(self, schemes=frozenset({"file"}), logins=Logins())

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> GitResult:
        """Run one command to its end. Raise AttemptTimeout or what interrupts it, once all its processes have ended.

        A host that asks for a login, and has one here, gets it: then the command is run a second time.
        """
        result = self._run(arguments, cwd=cwd)
        return self._run(arguments, cwd=cwd) if self.logins.answer(self.uri, result.stderr) else result

    def feed(self, take: Callable[[bytes], None], *arguments: str | Path) -> GitResult:
        """Run one command and pass its output to ``take`` as it comes; an exception from ``take`` ends the command."""
        return self._run(arguments, take=take)

    def _run(
        self,
        arguments: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> GitResult:
        if not self.deadline.check():
            raise self.timeout(arguments)
        environment = self._environment()
        with subprocess.Popen(
            [*self._program(environment), *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=self.keep_open,
        ) as process:
            try:
                return self._finished(process, take)
            except TimeoutError as error:
                raise self.timeout(arguments) from error
            except TooMuchOutput as error:
                raise self._too_much() from error
            finally:
                _end(process)

    def _program(self, environment: Mapping[str, str]) -> list[str]:
        """Return the command line for git under its limits."""
        if shutil.which("git", path=environment.get("PATH", os.defpath)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "git")
        if self.max_file_bytes is None:
            return ["git"]
        blocks, kilobytes = self.max_file_bytes // 512 + 1, MEMORY_BYTES // 1024
        return ["/bin/sh", "-c", LIMITED, "git", str(blocks), str(kilobytes)]

    def _finished(self, process: "subprocess.Popen[bytes]", take: Callable[[bytes], None] | None) -> GitResult:
        stdout, stderr = read_output(process, remaining_seconds=self.deadline.check, take=take)
        exit_code = self._wait(process)
        lines = stderr.replace(b"\r", b"\n")  # progress
        return GitResult(exit_code, stdout.decode(errors="replace"), lines.decode(errors="replace"))

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        """Wait for a command that has closed its output but may not have ended yet."""
        while seconds := self.deadline.check():
            with suppress(subprocess.TimeoutExpired):
                return process.wait(min(seconds, LOOK_SECONDS))
        raise TimeoutError

    def has_proxy(self) -> bool:
        """Return whether the environment or the worker user's configuration sends git through a proxy."""
        if any(
            value and PROXY.fullmatch(name) and not name.lower().startswith("no")
            for name, value in self.environ.items()
        ):
            return True
        return self.run("config", "--get-regexp", r"^http\.(.*\.)?proxy$", cwd=Path("/")).ok

    def proxies(self) -> dict[str, str]:
        """Return the proxies for http and https requests made without git: the door, or the operator's."""
        if self.door:
            return {"http": self.door.url, "https": self.door.url}
        names = {name.lower(): value for name, value in self.environ.items() if PROXY.fullmatch(name) and value}
        given = {scheme: names.get(f"{scheme}_proxy", names.get("all_proxy")) for scheme in ("http", "https")}
        return {scheme: value for scheme, value in given.items() if value}

    @property
    def trusted(self) -> str | None:
        """Return the file of certificates that git trusts, if the environment names one."""
        names = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
        return next((self.environ[name] for name in names if self.environ.get(name)), None)

    def must(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """Run one command and return what it printed; raise the matching error if it fails."""
        result = self.run(*arguments, cwd=cwd)
        if not result.ok:
            raise self.failure(result)
        return result.stdout.strip()

    def require_a_git_host(self, repository: str, *, cwd: Path | None = None) -> None:
        """Raise unless the host speaks git: git takes a page, such as a login's, for a repository without branches."""
        result = replace(self, is_traced=True).run("ls-remote", "--quiet", repository, "HEAD", cwd=cwd)
        if not result.says("packet:"):
            raise not_git(self.uri, use=self.logins.use(self.uri)) if result.ok else self.failure(result)

    def failure(self, result: GitResult) -> AttemptError:
        """Return the error that a failed command means."""
        if self.door and self.door.refusal:
            refusal = self.door.refusal
            return UserError(Code.INVALID_PARAMETER, refusal.message, uri=self.uri, setting=refusal.setting)
        if self.door and self.door.is_exhausted:
            return too_large(self.uri)
        trouble = self.door.trouble if self.door else ""
        redactor = Redactor.of(self.logins.known)
        return explain(f"{result.stderr}\n{trouble}", uri=self.uri, redactor=redactor, use=self.logins.use(self.uri))

    def timeout(self, arguments: Sequence[object]) -> AttemptTimeout:
        """Return the error for a deadline that has passed."""
        seconds = self.deadline.timeout_seconds
        return AttemptTimeout(
            Code.GIT_TIMEOUT,
            f"Fetching {self.uri} took longer than {seconds:g} s. Raise timeouts.git_seconds in the request, or "
            "GIT_TIMEOUT_SECONDS, if the repository is that large.",
            uri=self.uri,
            timeout_seconds=seconds,
            command=str(arguments[0]) if arguments else None,
        )

    def _too_much(self) -> UserError:
        megabytes = MAX_STDOUT_BYTES // 1024**2
        message = f"{self.uri} has more refs or files than this service can list ({megabytes} MB of names)."
        return UserError(Code.INVALID_PROJECT, f"{message} Use a smaller repository.", uri=self.uri)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in self.environ.items() if PASSED_ON.fullmatch(name)}
        if self.door:  # hosts in NO_PROXY would bypass it
            kept = {name: value for name, value in kept.items() if not PROXY.fullmatch(name)}
        ssh = self.environ.get("GIT_SSH_COMMAND", "ssh")
        config = list(self._config())
        return {
            **kept,
            "LC_ALL": "C",  # git_errors.py knows only the untranslated messages
            "GIT_ASKPASS": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": f"{ssh} {SSH_OPTIONS}",
            "GIT_TRACE_PACKET": "1" if self.is_traced else "0",
            "GIT_CONFIG_COUNT": str(len(config)),
            **{f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(config)},
            **{f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(config)},
        }

    def _config(self) -> Iterator[tuple[str, str]]:
        yield from ALWAYS
        yield from ((f"protocol.{scheme}.allow", "always") for scheme in sorted(self.schemes))
        login = self.logins.shown_to(self.uri)
        # What is an extra header, git would send to any host that it is redirected to.
        yield "http.followRedirects", "initial" if self.follow_redirects and not login else "false"
        if self.door:
            yield "http.proxy", self.door.url
            yield "http.proxyAuthMethod", "basic"
        if login:
            yield f"http.{login.origin}.extraHeader", f"Authorization: {login.as_basic}"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End whatever a command still runs: its whole group, since ssh, remote-https and index-pack are processes too."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATE_SECONDS)
