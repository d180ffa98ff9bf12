"""What an image's ENTRYPOINT does to a command, kind by kind."""

import pytest

from worker.runners.docker.entrypoint import Launch, launch

TRAIN = "cd src && python train.py --a 1"


@pytest.mark.parametrize(
    ("entrypoint", "options"),
    [
        ([], ()),
        (["/bin/sh", "-c"], ()),
        (["/bin/bash", "-c"], ()),
        (["/usr/local/bin/zsh", "-c"], ()),
        (["bash"], ()),
        (["busybox", "sh", "-c"], ()),
        (["/bin/bash", "-c", "--"], ()),
        (["/bin/bash", "-lc"], ("-l",)),
        (["/bin/bash", "--login", "-c"], ("--login",)),
        (["/bin/bash", "-l"], ("-l",)),
        (["zsh", "-l", "-c"], ("-l",)),
        (["bash", "-euo", "pipefail", "-c"], ("-euo", "pipefail")),
        (["bash", "--rcfile", "/env.sh", "-ic"], ("--rcfile", "/env.sh", "-i")),
    ],
)
def test_a_shell_is_replaced_by_ours_with_its_options(entrypoint: list[str], options: tuple[str, ...]) -> None:
    assert launch(entrypoint, TRAIN) == Launch(TRAIN, options=options)


@pytest.mark.parametrize(
    "entrypoint",
    [
        ["/entrypoint.sh"],
        ["/bin/bash", "/entrypoint.sh"],
        ["tini", "--"],
        ["conda", "run", "-n", "python"],
        ["/bin/sh", "-c", 'exec "$@"', "--"],
        ["bash", "-lc", "activate; exec ${@}", "-"],
        ["python", "/opt/wrapper.py"],
    ],
)
def test_what_runs_its_arguments_gets_ours(entrypoint: list[str]) -> None:
    assert launch(entrypoint, TRAIN) == Launch(TRAIN, wrapper=tuple(entrypoint))


@pytest.mark.parametrize(
    ("entrypoint", "launched"),
    [
        (["tini", "--", "/bin/bash", "-lc"], Launch(TRAIN, ("tini", "--"), ("-l",))),
        (["/usr/bin/env", "bash", "-c"], Launch(TRAIN, ("/usr/bin/env",))),
        (["conda", "run", "-n", "ml", "/bin/bash", "-c"], Launch(TRAIN, ("conda", "run", "-n", "ml"))),
    ],
)
def test_what_stands_before_a_shell_stays(entrypoint: list[str], launched: Launch) -> None:
    assert launch(entrypoint, TRAIN) == launched


@pytest.mark.parametrize(
    ("entrypoint", "command", "launched"),
    [
        (["python"], "train.py --a 1", Launch("python train.py --a 1")),
        (["python3.11", "-u"], "train.py", Launch("python3.11 -u train.py")),
        (["conda", "run", "-n", "ml", "python"], "train.py", Launch("python train.py", ("conda", "run", "-n", "ml"))),
        (["python", "/opt/train all.py"], "--a 1", Launch("python '/opt/train all.py' --a 1")),
        (["/train.sh"], " --a 1", Launch("/train.sh  --a 1")),
        (["bash"], "train.sh --a 1", Launch("bash train.sh --a 1")),
        (["bash", "-l"], "-c 'python train.py'", Launch("bash -l -c 'python train.py'")),
    ],
)
def test_an_interpreter_or_the_program_itself_gets_the_words_as_from_mlflow(
    entrypoint: list[str], command: str, launched: Launch
) -> None:
    assert launch(entrypoint, command) == launched


@pytest.mark.parametrize("entrypoint", [["/bin/bash", "-c"], ["/split.sh"], ["tini", "--", "bash", "-lc"]])
def test_a_command_that_is_one_quoted_word_is_taken_out_of_its_quotes(entrypoint: list[str]) -> None:
    found = launch(entrypoint, "'python show.py --a 1'")
    assert found is not None
    assert found.command == "eval 'python show.py --a 1'"
    for command in ("'python show.py' --a 1", "python", "'a b'; 'c'", "'a b", "'./train all.sh' x"):
        other = launch(entrypoint, command)
        assert other is not None
        assert other.command == command


def test_without_an_entrypoint_a_quoted_word_stays_one() -> None:
    assert launch([], "'python show.py'") == Launch("'python show.py'")


@pytest.mark.parametrize("text", ["python train.py", "python train.py --home $HOME", ""])
def test_a_fixed_command_takes_no_other(text: str) -> None:
    assert launch(["/bin/sh", "-c", text], TRAIN) is None
