"""How a command is started: the shell that runs it, what an image's ENTRYPOINT makes of it, and proof that it began."""

import io
import json
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import pytest

from shared.errors import AttemptError, Code
from tests.support.engines import docker_or_skip
from tests.support.runner_bench import IMAGE, REAL_KINDS, Bench, open_bench
from tests.support.servers.made_image import FOREIGN_PROGRAM, make_image
from worker.project.entry_points import COMMAND_BYTES
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Exit, Handle

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('LEVEL')]))"


@pytest.fixture(params=REAL_KINDS)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


@pytest.fixture
def containers(tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench("docker", tmp_path)


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="module")
def build(engine: docker.DockerClient) -> Iterator[Callable[[str], str]]:
    """Build an image from a Dockerfile; it is removed afterwards."""
    built: list[str] = []

    def build(dockerfile: str) -> str:
        name = f"test-{secrets.token_hex(4)}"
        engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=name, rm=True, forcerm=True)
        built.append(name)
        return name

    yield build
    for name in reversed(built):
        engine.images.remove(name, force=True)


@pytest.fixture
def made(engine: docker.DockerClient) -> Iterator[Callable[..., str]]:
    """Make an image of a few files; it is removed afterwards."""
    names: list[str] = []

    def make(files: Mapping[str, bytes], **about: Any) -> str:
        names.append(make_image(engine, files, **about))
        return names[-1]

    yield make
    for name in names:
        engine.images.remove(name, force=True)


@dataclass(frozen=True)
class Ended:
    """How an attempt ended, and what it printed."""

    exit: Exit
    log: str

    @property
    def told(self) -> tuple[int, str]:
        return self.exit.exit_code, self.log

    @property
    def problem(self) -> str:
        assert self.exit.not_begun is not None, self
        assert self.exit.not_begun.code is Code.CONTAINER_FAILED
        return self.exit.not_begun.message


def run_all(bench: Bench, asked: Mapping[str, AttemptSpec]) -> dict[str, Ended]:
    """Run them side by side."""
    started = {name: bench.start_spec(spec) for name, spec in asked.items()}
    return {name: Ended(bench.wait(handle), bench.log(handle).decode().strip()) for name, handle in started.items()}


def run_in(bench: Bench, image: str, command: str) -> Ended:
    return run_all(bench, {"": replace(bench.spec(command), image=image)})[""]


BASH = {
    "python3 -c 'import time; time.sleep(0.5); exit(3)' &> train.log": (3, ""),
    "if [[ xy == x* ]]; then echo yes; fi": (0, "yes"),
    "source ./env.sh && echo $WHO": (0, "me"),
    "set -o pipefail; false | cat": (1, ""),
    "echo err |& cat; words=(a 'b c'); echo ${#words[@]} $((RANDOM < 0))": (0, "err\n2 0"),
    "echo $0": (0, "bash"),
    "cat <(echo from a process)": (0, "from a process"),
    "exec 3<<<text; cat <&3": (0, "text"),
}


def test_a_command_is_in_the_language_of_bash_as_with_mlflow(real: Bench) -> None:
    (real.source / "env.sh").write_text("WHO=me\n")
    ended = run_all(real, {command: real.spec(command) for command in BASH})
    assert {command: each.told for command, each in ended.items()} == BASH
    assert all(each.exit.not_begun is None for each in ended.values())


def test_a_command_may_be_as_long_as_a_single_argument_and_is_not_read_twice(real: Bench) -> None:
    quoted = shlex.quote("$HOME `id` \\ \"'\n" + "x" * (COMMAND_BYTES - 100))
    command = f"printf %s {quoted} | wc -c"
    ended = run_all(real, {"": real.spec(command)})[""]
    assert ended.told == (0, str(len(shlex.split(command)[2])))


def test_a_prelude_is_run_before_the_command_and_what_it_gives_up_never_began(real: Bench) -> None:
    asked = {
        "exported": replace(real.spec("echo $LENT"), prelude="LENT='a b'; export LENT\n"),
        "given up": replace(real.spec("echo ran"), prelude="exit 1\n"),
        "given up quietly": replace(real.spec("echo ran"), prelude="exit 0\n"),
    }
    ended = run_all(real, asked)
    assert ended["exported"].told == (0, "a b")
    assert (ended["given up"].log, ended["given up quietly"].log) == ("", "")
    assert "before the project's command began" in ended["given up"].problem
    assert "before the project's command began" in ended["given up quietly"].problem


def test_the_proof_outlives_the_worker(real: Bench) -> None:
    begun, not_begun = real.start("true"), real.start("true", prelude="exit 0\n")
    real.wait(begun)
    real.wait(not_begun)
    assert real.restarted().poll(begun) == Exit(0)
    ended = real.restarted().poll(not_begun)
    assert ended is not None
    assert ended.not_begun is not None


def test_a_worker_without_bash_has_its_sh(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "date", "ln", "mv", "rm"):
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / "python").symlink_to(sys.executable)
    runner = ProcessRunner(tmp_path / "state", python=folder / "python", base_env={"PATH": str(folder)})
    bench = Bench(runner, lambda: runner, folder)
    handle = bench.start("echo $0 ${BASH_VERSION:-none}")
    assert bench.wait(handle) == Exit(0)
    assert bench.log(handle) == b"sh none\n"
    runner.remove(handle)


SCRIPTS = {
    "exec.sh": '#!/bin/sh\nexport LEVEL=image\nexec "$@"\n',
    "split.sh": "#!/bin/sh\nexport LEVEL=image\nexec $*\n",
    "first.sh": '#!/bin/sh\nexport LEVEL=image\nsh -c "$1"\n',
    "other-user.sh": "#!/bin/sh\nexport LEVEL=image\n"
    'exec python3 -c "import os, sys; os.setgid(1234); os.setuid(1234); os.execvp(sys.argv[1], sys.argv[1:])" "$@"\n',
    "ignores.sh": "#!/bin/sh\necho its own thing\n",
}
RUNS = [
    ["/bin/bash", "-c"],
    ["/bin/bash", "-lc"],
    ["/bin/sh"],
    ["/exec.sh"],
    ["/split.sh"],
    ["/first.sh"],
    ["/other-user.sh"],
    ["/exec.sh", "/bin/bash", "-c"],
    ["/bin/bash", "/exec.sh"],
    ["/bin/bash", "-c", 'export LEVEL=image; exec "$@"', "--"],
    ["/usr/bin/env", "LEVEL=image"],
]
IGNORES = [["/ignores.sh"], ["true"], ["/bin/echo", "-n"], ["cat"], ["/bin/sh", "-c", "echo $1 ignored"]]


@pytest.fixture(scope="module")
def base(build: Callable[[str], str]) -> str:
    """An image that has the scripts, a bash login that sets LEVEL, and no ENTRYPOINT."""
    lines = [
        f"printf %b {shlex.quote(text.encode('unicode_escape').decode())} > /{name}" for name, text in SCRIPTS.items()
    ]
    lines += ["chmod 755 /*.sh", "echo export LEVEL=login > /etc/profile.d/level.sh"]
    return build(f"FROM {IMAGE}\nRUN {' && '.join(lines)}")


def test_every_entrypoint_that_runs_its_arguments_runs_the_whole_command(
    containers: Bench, build: Callable[[str], str], base: str
) -> None:
    command = (
        f"mkdir /tmp/sub && cd /tmp/sub && python3 -c {shlex.quote(SHOW)} 'two  words' \"$(basename $PWD)\" ''; exit 3"
    )
    images = {shlex.join(each): build(f"FROM {base}\nENTRYPOINT {json.dumps(each)}") for each in RUNS}
    ended = run_all(containers, {name: replace(containers.spec(command), image=each) for name, each in images.items()})
    levels = {name: None if "LEVEL" not in name and ".sh" not in name else "image" for name in images}
    levels["/bin/bash -lc"] = "login"
    expected = {name: (3, json.dumps([["two  words", "sub", ""], level])) for name, level in levels.items()}
    assert {name: each.told for name, each in ended.items()} == expected


def test_an_entrypoint_that_does_something_else_is_a_failure_by_name_and_whatever_its_exit_code_is(
    containers: Bench, build: Callable[[str], str], base: str
) -> None:
    images = {shlex.join(each): build(f"FROM {base}\nENTRYPOINT {json.dumps(each)}") for each in IGNORES}
    asked = {name: replace(containers.spec("echo ran"), image=each) for name, each in images.items()}
    for name, ended in run_all(containers, asked).items():
        assert "ran" not in ended.log.split()
        assert f"the ENTRYPOINT [{name}]" in ended.problem
        assert 'exec "$@"' in ended.problem


def test_an_entrypoint_that_is_a_fixed_command_is_refused_before_it_runs(
    containers: Bench, build: Callable[[str], str]
) -> None:
    image = build(f"FROM {IMAGE}\nENTRYPOINT python train.py")
    with pytest.raises(AttemptError) as caught:
        containers.start_spec(replace(containers.spec("python train.py --a 1"), image=image))
    assert caught.value.code is Code.CONTAINER_FAILED
    assert "python train.py" in caught.value.message
    assert containers.runner.list_mine() == []


def test_an_interpreter_as_entrypoint_runs_what_mlflow_would_give_it(
    containers: Bench, build: Callable[[str], str]
) -> None:
    (containers.source / "show.py").write_text(SHOW)
    image = build(f'FROM {IMAGE}\nENTRYPOINT ["python3", "-u"]')
    assert run_in(containers, image, "show.py --a '1 2'").told == (0, '[["--a", "1 2"], null]')


@pytest.mark.parametrize("entrypoint", [["/bin/bash", "-c"], ["/split.sh"]])
def test_a_command_that_is_one_quoted_word_trains(
    containers: Bench, build: Callable[[str], str], base: str, entrypoint: list[str]
) -> None:
    (containers.source / "show.py").write_text(SHOW)
    image = build(f"FROM {base}\nENTRYPOINT {json.dumps(entrypoint)}")
    ended = run_in(containers, image, "'python3 show.py --a 1'")
    assert ended.exit.exit_code == 0
    assert ended.log.startswith('[["--a", "1"]')


def test_an_image_without_bash_has_its_sh(containers: Bench, build: Callable[[str], str]) -> None:
    image = build(f"FROM {IMAGE}\nRUN rm /bin/bash")
    assert run_in(containers, image, "echo $0 && [[ 1 ]]").told[0] == 127
    assert run_in(containers, image, "echo $0").told == (0, "sh")


def test_an_image_without_a_shell_fails_in_plain_words(containers: Bench, made: Callable[..., str]) -> None:
    image = made({"train": b"x"})
    assert run_in(containers, image, "/train").problem == (
        f"Image '{image}' has no /bin/sh, which starts a project's command. Build it on one that has a shell."
    )


@pytest.mark.parametrize("entrypoint", [None, ["/bin/sh", "-c"], ["/bin/init"]])
def test_an_image_for_another_kind_of_processor_fails_in_plain_words(
    containers: Bench, made: Callable[..., str], engine: docker.DockerClient, entrypoint: list[str] | None
) -> None:
    here = engine.version()["Arch"]
    foreign = "riscv64" if here == "arm64" else "arm64"
    programs = {"bin/sh": FOREIGN_PROGRAM, "bin/init": FOREIGN_PROGRAM}
    image = made(programs, architecture=foreign, Entrypoint=entrypoint)
    problem = run_in(containers, image, "python train.py").problem
    assert problem.startswith(f"Image '{image}' is for linux/{foreign}, but this host is linux/{here} ")


def test_a_container_of_an_earlier_version_ends_as_its_exit_code_says(
    containers: Bench, engine: docker.DockerClient
) -> None:
    old = engine.containers.run(IMAGE, ["/bin/sh", "-c", "exit 0"], detach=True)
    try:
        handle = Handle(id=str(old.id), name=str(old.name))
        assert containers.wait(handle) == Exit(0)
    finally:
        old.remove(force=True)
