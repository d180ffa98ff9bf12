"""Checks that git is installed and that the hosts of GIT_HOSTS answer it, with the worker's proxy, keys and CA."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.errors import AttemptError, AttemptTimeout, Code
from shared.settings import Settings
from worker.findings.finding import Finding, failure, ok, skipped
from worker.source.deadline import Deadline
from worker.source.git import Git

TIMEOUT_SECONDS = 8.0
NOBODYS = "retrain-doctor/retrain-doctor.git"  # a host that answers for it, even with a refusal, is reachable
AT_ONCE = 32
USERS = {"ssh": "git@"}
ADVICE = (
    "Check that this host can reach it (proxy: https_proxy; a CA of your own: GIT_SSL_CAINFO; ssh: the key, and a "
    "network that lets port 22 out), or remove it from GIT_HOSTS."
)


def check_git(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Ask every host that requests may name, by every scheme that they may use."""
    try:
        version = _git("", settings, environment).must("--version")
    except OSError as error:
        yield failure("git", f"cannot be run: {error.strerror}", "Install git on the worker's PATH.")
        return
    yield ok("git", version)
    if not settings.git_hosts:
        yield skipped("git hosts", "GIT_HOSTS is empty, so requests may name any host")
        return
    hosts, schemes = sorted(settings.git_hosts), sorted(settings.git_schemes - {"file"})
    addresses = [f"{scheme}://{USERS.get(scheme, '')}{host}/{NOBODYS}" for host in hosts for scheme in schemes]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        refusals = iter(list(pool.map(lambda uri: refusal(uri, settings, environment), addresses)))
    for host in hosts:
        yield _judge(host, {scheme: next(refusals) for scheme in schemes})


def refusal(uri: str, settings: Settings, environment: Mapping[str, str]) -> str | None:
    """Return why git cannot reach the address; None if a git host answers, even if only with a refusal."""
    try:
        _git(uri, settings, environment).require_a_git_host(uri)
    except AttemptTimeout:
        return f"{uri} does not answer within {TIMEOUT_SECONDS:g} s."
    except AttemptError as error:
        return error.message if error.code is Code.GIT_UNREACHABLE else None
    return None


def _judge(host: str, refusals: Mapping[str, str | None]) -> Finding:
    """Report success if one scheme works: few use both https and ssh."""
    answering = [scheme for scheme, why in refusals.items() if why is None]
    if answering:
        return ok(f"git host {host}", f"answers by {' and '.join(answering)}")
    return failure(f"git host {host}", " ".join(why for why in refusals.values() if why), ADVICE)


def _git(uri: str, settings: Settings, environment: Mapping[str, str]) -> Git:
    return Git(uri, Deadline(TIMEOUT_SECONDS), schemes=settings.git_schemes, environ=environment)
