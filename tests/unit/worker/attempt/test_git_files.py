"""What a real git in a training makes of the files that it gets for its data."""

import os
import subprocess
from pathlib import Path

import pytest

from shared.addresses.git_uri import Credentials
from worker.attempt.git_files import git_files

LOGIN = Credentials("https://git.example/", "robot", "pass")
ODD = """ p@ss "w0rd" \\n $HOME `id` %41 = žluť """


def asked(folder: Path, *command: str, stdin: str = "", has_home: bool = True, login: Credentials = LOGIN) -> str:
    """What git prints in a training's surroundings."""
    for name, content in git_files(login, has_home=has_home).items():
        (folder / name).write_bytes(content)
    env = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "RETRAIN_GIT_LOGIN_FILE": str(folder / "gitlogin"),
        **({"HOME": str(folder)} if has_home else {}),
    }
    command = ("git", *command)
    return subprocess.run(command, input=stdin, env=env, cwd=folder, stdout=subprocess.PIPE, text=True).stdout  # noqa: PLW1510


def answer(folder: Path, address: str, **how: bool | Credentials) -> dict[str, str]:
    """What git would send to the address's host, if that asks."""
    found = asked(folder, "credential", "fill", stdin=f"url={address}\n\n", **how)  # type: ignore[arg-type]
    return dict(line.split("=", 1) for line in found.splitlines())


@pytest.mark.parametrize("has_home", [True, False])
@pytest.mark.parametrize("address", ["https://git.example/data.git", "https://contoso@git.example:443/team/data"])
def test_the_datas_host_gets_the_login_if_it_asks(tmp_path: Path, address: str, has_home: bool) -> None:
    found = answer(tmp_path, address, has_home=has_home)
    assert (found["username"], found["password"]) == ("robot", "pass")


@pytest.mark.parametrize("host", ["http://git.example", "https://git.example:8443", "https://git.example.evil.example"])
def test_no_other_host_gets_it(tmp_path: Path, host: str) -> None:
    assert answer(tmp_path, f"{host}/data.git") == {}


@pytest.mark.parametrize(
    ("username", "password", "sent"), [("robot", ODD, "robot"), ("ghp_t0ken", "", "ghp_t0ken"), ("", "t0ken", "token")]
)
def test_every_login_is_read_as_it_is(tmp_path: Path, username: str, password: str, sent: str) -> None:
    found = answer(tmp_path, "https://git.example/a.git", login=Credentials("https://git.example/", username, password))
    assert (found["username"], found["password"]) == (sent, password)


@pytest.mark.parametrize("has_home", [True, False])
def test_the_users_own_configuration_counts_but_no_helper_of_theirs_keeps_the_login(
    tmp_path: Path, has_home: bool
) -> None:
    (tmp_path / ".gitconfig").write_text(
        f"[http]\n\tproxy = http://proxy\n[credential]\n\thelper = store --file {tmp_path}/kept\n"
    )
    proxy = asked(tmp_path, "config", "--get-urlmatch", "http.proxy", "https://git.example/", has_home=has_home)
    assert proxy.strip() == ("http://proxy" if has_home else "")
    login = "protocol=https\nhost=git.example\nusername=robot\npassword=pass\n\n"
    asked(tmp_path, "credential", "approve", stdin=login, has_home=has_home)
    asked(tmp_path, "credential", "reject", stdin=login, has_home=has_home)
    assert not (tmp_path / "kept").exists()
    assert answer(tmp_path, "https://git.example/a.git", has_home=has_home)["password"] == "pass"
