"""Which login a host is shown: its own, by scheme, host and port, once git says that the host asks."""

import pytest

from shared.addresses.git_uri import Credentials
from worker.source.logins import Logins, LoginUse, asking_host

URI = "https://git.example/team/iris.git"
TOKEN = Credentials("https://git.example/", "ci", "t0ken")


def asking(host: str, what: str = "Username") -> str:
    return f"remote: Denied.\nfatal: could not read {what} for '{host}': terminal prompts disabled\n"


@pytest.mark.parametrize("host", ["https://git.example", "https://git.example:443", "https://GIT.example"])
@pytest.mark.parametrize("what", ["Username", "Password"])
def test_a_login_is_shown_once_its_host_asks(host: str, what: str) -> None:
    logins = Logins((TOKEN,))
    assert (logins.shown_to(URI), logins.use(URI)) == (None, LoginUse.NOT_ASKED_FOR)
    assert logins.answer(URI, asking(host, what))
    assert (logins.shown_to(URI), logins.use(URI)) == (TOKEN, LoginUse.SHOWN)
    assert not logins.answer(URI, asking(host))  # it was shown, and refused


@pytest.mark.parametrize(
    "host",
    [
        "http://git.example",
        "https://git.example:8443",
        "https://git.example.evil",
        "https://git.example@evil.example",
        "https://evil.example/git.example",
        "https://[::1",
        "git.example",
        "",
    ],
)
def test_no_other_host_gets_it_by_asking(host: str) -> None:
    logins = Logins((TOKEN,))
    assert not logins.answer(URI, asking(host))
    assert logins.shown_to(URI) is None
    assert logins.of(f"{host}/team/iris.git") is None


@pytest.mark.parametrize(
    "said",
    [
        "",
        "fatal: unable to access 'https://git.example/': The requested URL returned error: 403",
        "remote: fatal: could not read Username for 'https://git.example': terminal prompts disabled",
    ],
)
def test_what_is_no_question_is_not_answered(said: str) -> None:
    assert asking_host(said) is None
    assert not Logins((TOKEN,)).answer(URI, said)


def test_a_host_without_a_login_asks_in_vain() -> None:
    logins = Logins((Credentials("https://other.example/", "ci", "t0ken"),))
    assert not logins.answer(URI, asking("https://git.example"))
    assert (logins.shown_to(URI), logins.use(URI)) == (None, LoginUse.NONE)


def test_one_repositorys_question_is_not_anothers_of_the_same_host() -> None:
    logins = Logins((TOKEN,))
    assert logins.answer(URI, asking("https://git.example"))
    assert logins.shown_to("https://git.example/team/public.git") is None


def test_a_submodules_own_login_comes_first_at_its_own_host() -> None:
    own = Credentials("https://git.example/", "project", "0wn")
    assert Logins((TOKEN,)).plus(own).of(URI) == own
    assert Logins((TOKEN,)).plus(Credentials("https://other.example/", "project", "0wn")).of(URI) == TOKEN
    assert Logins((TOKEN,)).plus(None).of(URI) == TOKEN
