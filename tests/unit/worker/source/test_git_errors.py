"""What git's complaints are taken for, and that nothing secret comes with them."""

import base64
import errno
from urllib.parse import quote

import pytest

from shared.addresses.git_uri import Credentials
from shared.errors import Code, FailureType
from shared.secrets.redactor import Redactor
from worker.source.git_errors import EXCERPT_CHARACTERS, explain, explain_os_error

URI = "https://host/user/repo.git"
NOTHING_SECRET = Redactor()


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("fatal: Authentication failed for 'https://host/user/repo.git/'", Code.GIT_AUTH_FAILED),
        ("fatal: could not read Username for 'https://host': terminal prompts disabled", Code.GIT_AUTH_FAILED),
        ("fatal: unable to access '…': The requested URL returned error: 403", Code.GIT_AUTH_FAILED),
        ("remote: Repository not found.\nfatal: repository '…' not found", Code.GIT_AUTH_FAILED),
        (
            "git@host: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            Code.GIT_AUTH_FAILED,
        ),
        ("remote: HTTP Basic: Access denied", Code.GIT_AUTH_FAILED),
        ("fatal: '/srv/a.git' does not appear to be a git repository", Code.GIT_AUTH_FAILED),
        ("remote: The project you were looking for could not be found", Code.GIT_AUTH_FAILED),
        ("fatal: unable to access '…': Could not resolve host: host", Code.GIT_UNREACHABLE),
        ("fatal: unable to access '…': Failed to connect to host port 443: Connection refused", Code.GIT_UNREACHABLE),
        ("fatal: unable to access '…': The requested URL returned error: 503", Code.GIT_UNREACHABLE),
        ("fatal: unable to access '…': SSL certificate problem: self signed certificate", Code.GIT_UNREACHABLE),
        ("error: RPC failed; curl 28 Operation too slow\nfatal: early EOF", Code.GIT_UNREACHABLE),
        ("ssh: connect to host host port 22: Connection timed out", Code.GIT_UNREACHABLE),
        ("Host key verification failed.", Code.GIT_UNREACHABLE),
        ("", Code.GIT_UNREACHABLE),
        ("fatal: https://host/a.git/info/refs not valid: is this a git repository?", Code.GIT_UNREACHABLE),
        (
            "fatal: unable to update url base from redirection:\n  asked for: https://host/a.git/info/refs?service=x\n"
            "   redirect: https://host/users/sign_in",
            Code.GIT_UNREACHABLE,
        ),
        (
            "fatal: unable to update url base from redirection:\n  asked for: https://host/a.git/info/refs?service=x\n"
            "   redirect: https://host/b.git/info/refs",
            Code.INVALID_PARAMETER,
        ),
        ("fatal: write error: No space left on device", Code.DISK_FULL),
        ("error: unable to write file x: Disk quota exceeded", Code.DISK_FULL),
        ("fatal: unable to access '…': The requested URL returned error: 301", Code.INVALID_PARAMETER),
        ("fatal: transport 'ext' not allowed", Code.INVALID_PARAMETER),
        ("fatal: No url found for submodule path 'sub' in .gitmodules", Code.INVALID_PROJECT),
        ("fatal: invalid value for 'submodule.sub.update'", Code.INVALID_PROJECT),
        ("Fetched in submodule path 'a', but … Direct fetching of that commit failed.", Code.INVALID_PROJECT),
    ],
)
def test_each_complaint_is_sorted_by_who_must_act(stderr: str, code: Code) -> None:
    error = explain(stderr, uri=URI, redactor=NOTHING_SECRET)
    retried = code in (Code.GIT_UNREACHABLE, Code.DISK_FULL)
    assert error.code == code
    assert error.type == (FailureType.INFRASTRUCTURE if retried else FailureType.USER_ERROR)
    assert URI in error.message


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(errno.ENOSPC, "full"), Code.DISK_FULL), (PermissionError(13, "no", "/x"), Code.INTERNAL)],
)
def test_a_worker_that_cannot_write_is_worth_another_attempt(error: OSError, code: Code) -> None:
    explained = explain_os_error(error, uri=URI)
    assert (explained.code, explained.type) == (code, FailureType.INFRASTRUCTURE)


def test_what_git_said_holds_no_form_of_the_credentials() -> None:
    username, password = "someone-or-a-token-of-20", "p@ss/w0rd&more"
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    stderr = f"https://{username}:{quote(password, safe='')}@host {password} {basic} fatal: broken"
    redactor = Redactor.of([Credentials("https://host/", username, password)])
    message = explain(stderr, uri=URI, redactor=redactor).message
    assert not any(secret in message for secret in (username, password, quote(password, safe=""), basic))
    assert "fatal: broken" in message


def test_what_git_said_is_short_and_cut_after_it_was_redacted() -> None:
    password = "p" * 40
    redactor = Redactor([password])
    for padding in range(EXCERPT_CHARACTERS - 60, EXCERPT_CHARACTERS + 10):
        message = explain(f"start {password} " + "x" * padding, uri=URI, redactor=redactor).message
        assert "pp" not in message.replace("https", "")
    long = explain("x" * 10**6 + "the end", uri=URI, redactor=redactor).message
    assert len(long) < EXCERPT_CHARACTERS + 200
    assert long.endswith("the end")


def test_what_git_said_is_one_line_of_plain_text() -> None:
    message = explain("remote: \x1b[31mno\x1b[0m\r\n\nfatal: \x07stop\n", uri=URI, redactor=NOTHING_SECRET).message
    assert message.endswith("git said: remote: no / fatal: stop")
