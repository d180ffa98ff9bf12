"""git: whether it is here, and whether the hosts of GIT_HOSTS answer it, with the worker's proxy, keys and trust."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from shared.errors import AttemptError, Code
from shared.settings import Settings
from worker.doctor.finding import Finding, failure, ok, skipped
from worker.git import Deadline, Git

TIMEOUT_SECONDS = 8.0
NOBODYS = "retrain-doctor/retrain-doctor.git"  # a host that answers for it, with whatever refusal, is there
HOSTS_AT_ONCE = 16
ADVICE = (
    "Check that this host reaches it (proxy: https_proxy; a CA of your own: GIT_SSL_CAINFO; ssh: the key, and a "
    "network that lets port 22 out), or take it out of GIT_HOSTS."
)


def check_git(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Ask every host that requests may name, by every scheme that they may have."""
    try:
        version = _git("", settings, environment).must("--version")
    except OSError as error:
        yield failure("git", f"cannot be run: {error.strerror}", "Install git where the worker runs, and in its PATH.")
        return
    yield ok("git", version)
    if not settings.git_hosts:
        yield skipped("git hosts", "GIT_HOSTS is empty, so requests may name any")
        return
    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        yield from pool.map(lambda host: _host(host, settings, environment), sorted(settings.git_hosts))


def refusal(uri: str, settings: Settings, environment: Mapping[str, str]) -> str | None:
    """Return why git cannot reach the address; None where somebody answers, if only that there is no such thing."""
    try:
        _git(uri, settings, environment).must("ls-remote", uri, "HEAD")
    except AttemptError as error:
        return None if error.code is Code.GIT_AUTH_FAILED else error.message
    return None


def _host(host: str, settings: Settings, environment: Mapping[str, str]) -> Finding:
    """One way in is enough: few use https and ssh alike."""
    schemes = sorted(settings.git_schemes - {"file"})
    addresses = {scheme: f"{scheme}://{'git@' if scheme == 'ssh' else ''}{host}/{NOBODYS}" for scheme in schemes}
    refusals = {scheme: refusal(uri, settings, environment) for scheme, uri in addresses.items()}
    answering = [scheme for scheme, why in refusals.items() if why is None]
    if answering:
        return ok(f"git host {host}", f"answers by {' and '.join(answering)}")
    return failure(f"git host {host}", " ".join(why for why in refusals.values() if why), ADVICE)


def _git(uri: str, settings: Settings, environment: Mapping[str, str]) -> Git:
    return Git(uri, Deadline(TIMEOUT_SECONDS), schemes=settings.git_schemes, environ=environment)
