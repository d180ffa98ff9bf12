"""How .venv is filled: by uv where pip can fetch it, else by pip, from the same index and with the same hashes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from deploy.dependencies.install import install, uv_environment


class Machine:
    """Runs nothing: keeps each command with what it was told, and says that some of them fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.said: list[str] = []
        self.environments: list[Mapping[str, str]] = []
        self.locks: list[str] = []

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        self.said.append(" ".join(command))
        self.environments.append(environment)
        if "--requirement" in command:
            self.locks.append(Path(command[-1]).read_text())
        return not any(word in self.said[-1] for word in self.failing)


def test_uv_is_fetched_with_its_hash_and_installs_the_lock_with_all_hashes() -> None:
    machine = Machine()
    install(machine.run, "")
    fetching, by_uv, mypackage = machine.said
    assert " -m pip " in fetching
    assert "--require-hashes" in fetching
    assert machine.locks[0].startswith("uv==")
    assert machine.locks[0].count("==") == 1
    assert "/uv pip install" in by_uv
    assert "--require-hashes" in by_uv
    assert by_uv.endswith("/requirements.txt")
    assert "/uv pip install" in mypackage
    assert "--editable" in mypackage


@pytest.mark.parametrize("failing", ["--only-binary", "/uv pip"])
def test_pip_installs_the_lock_where_uv_is_not_to_be_had_or_fails(
    failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(failing)
    install(machine.run, "")
    by_pip, mypackage = machine.said[-2:]
    assert " -m pip " in by_pip
    assert "--require-hashes" in by_pip
    assert by_pip.endswith("/requirements.txt")
    assert " -m pip " in mypackage
    assert "--editable" in mypackage
    assert "pip does it now" in capsys.readouterr().out


def test_a_lock_that_neither_can_install_ends_the_setup() -> None:
    machine = Machine("--require-hashes")
    with pytest.raises(SystemExit, match=r"could not install what requirements\.txt locks"):
        install(machine.run, "")
    assert not any("--editable" in command for command in machine.said)


def test_uv_asks_the_index_that_pip_is_set_up_for() -> None:
    machine = Machine()
    install(machine.run, "global.index-url='https://user:word@mirror.example/simple'\n")
    assert machine.environments[1]["UV_DEFAULT_INDEX"] == "https://user:word@mirror.example/simple"
    assert "mirror.example" not in " ".join(machine.said)


def test_what_is_said_for_uv_itself_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example/simple")
    machine = Machine()
    install(machine.run, "global.index-url='https://mirror.example/simple'\n")
    assert machine.environments[1]["UV_DEFAULT_INDEX"] == "https://uv.example/simple"


def test_a_variable_of_pip_goes_before_its_files_and_install_before_global() -> None:
    listed = (
        ":env:.index-url='https://env.example/simple'\n"
        "global.extra-index-url='https://a.example/simple'\n"
        "global.index-url='https://file.example/simple'\n"
        "global.timeout='60'\n"
        "install.extra-index-url='\\nhttps://b.example/simple\\nhttps://c.example/simple'\n"
    )
    assert uv_environment(listed) == {
        "UV_DEFAULT_INDEX": "https://env.example/simple",
        "UV_INDEX": "https://b.example/simple https://c.example/simple",
    }
