"""The ways an upgrade goes: forward under training, both versions for a while, and back."""

import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tests.drill.parts import Part
from tests.drill.report import say
from tests.support.waiting import wait_until
from tests.upgrade.outcome import expect
from tests.upgrade.site import END_SECONDS, Api, Site
from tests.upgrade.versions import LATER_FIELD, Version

HOST, OTHER_HOST, LATER_HOST = "host-1", "host-2", "host-3"
NEXT_HOUR_SECONDS = 3600.0
ONCE_MORE = {"on": ["user_error"], "max_attempts": 2, "initial_delay_seconds": 3600, "max_delay_seconds": 3600}
REFUSAL = "is newer than this program. Start the newer program."


@dataclass(frozen=True)
class Versions:
    """The versions that meet."""

    old: Version
    this: Version
    later: Version


def forward(site: Site, versions: Versions) -> None:
    """The schema, the API and the worker are upgraded while jobs of the old API are in every state."""
    old_api, old_worker = _start_old(site, versions)
    retried = old_api.submit(site.project.request("retried", gate="a", fails=True, retry=ONCE_MORE))
    old_api.wait_for(retried, "retry_wait")
    site.end_wait(retried, in_seconds=NEXT_HOUR_SECONDS)
    trained = [old_api.submit(site.project.request(f"trained-{number}", gate="a")) for number in range(3)]
    old_api.wait_for_lines(trained)
    site.mlflow.signal(signal.SIGSTOP)  # what is prepared waits for it
    prepared = old_api.submit(site.project.request("prepared", gate="a"))
    old_api.wait_for(prepared, "starting")
    queued = old_api.submit(site.project.request("queued-before", gate="a"))
    say("an old API and worker: 3 jobs run, one is prepared, one is queued, one waits for its next attempt")

    _migrate(site, versions.this)
    api = site.api(versions.this)
    queued_after = old_api.submit(site.project.request("queued-after", gate="a"))
    new = api.submit(site.project.request("of-the-new-api", gate="a"))
    old_api.wait_for_lines(trained)
    _all_listed(api, old_api, [retried, *trained, prepared, queued, queued_after, new])
    say("the schema is this version's: the old API and worker go on, and both APIs list all jobs")

    _end_as_an_engine_does(old_worker)
    api.post(f"/jobs/{trained[2]}/cancel", {})
    site.worker(versions.this, HOST)
    api.wait_for_lines(trained[:2])
    site.mlflow.signal(signal.SIGCONT)
    api.wait_for(prepared, "running")
    _end(old_api.part)
    site.end_wait(retried, in_seconds=0)
    say("the worker of this version follows what the old one began")

    site.project.open("a")
    waited = [retried, prepared, queued, queued_after, new]
    ends = dict.fromkeys([*trained[:2], *waited], "succeeded") | {trained[2]: "cancelled"}
    expect(site, api, ends, attempts={retried: 2})
    say(f"{len(ends)} jobs ended once, each attempt was started once, and every log is whole")


def together(site: Site, versions: Versions) -> None:
    """Two hosts, one of them with an old worker, take jobs of both APIs."""
    old_api, _old_worker = _start_old(site, versions)
    _migrate(site, versions.this)
    api = site.api(versions.this)
    site.worker(versions.this, OTHER_HOST)
    plain = [
        one.submit(site.project.request(f"plain-{number}", gate="a")) for number, one in enumerate([old_api, api] * 3)
    ]
    for job_id in plain:
        api.wait_for(job_id, "running")
    hosts = {api.host_of(job_id) for job_id in plain}
    assert hosts == {HOST, OTHER_HOST}, hosts
    _all_listed(api, old_api, plain)
    site.project.open("a")
    expect(site, api, dict.fromkeys(plain, "succeeded"))
    say(f"{len(plain)} jobs of both APIs ran on both hosts")

    _each_on_its_host(site, api, old_api)
    leave_to_later(site, versions.later, api, hosts=(HOST, OTHER_HOST))
    _unknown_code(site, api, old_api)


def _each_on_its_host(site: Site, api: Api, old_api: Api) -> None:
    """Jobs that ask for a host, each by the API of the other version."""
    asked = {
        old_api.submit(site.project.request("to-the-new", gate="a", resources={"host": OTHER_HOST})): OTHER_HOST,
        api.submit(site.project.request("to-the-old", gate="a", resources={"host": HOST})): HOST,
    }
    expect(site, api, dict.fromkeys(asked, "succeeded"))
    assert {job_id: api.host_of(job_id) for job_id in asked} == asked
    say("a job of each API ran on the other version's host")


def leave_to_later(site: Site, later: Version, api: Api, *, hosts: Sequence[str]) -> None:
    """A job with a field that no worker of these hosts knows waits for one that does, and holds back no other."""
    later_api = site.api(later)
    newer = later_api.submit({**site.project.request("with-a-new-field", gate="a"), LATER_FIELD: "anything"})
    others = [
        later_api.submit(site.project.request(f"on-{host}", gate="a", resources={"host": host})) for host in hosts
    ]
    site.project.open("a")
    expect(site, api, dict.fromkeys(others, "succeeded"))
    for one in (api, later_api):
        job = one.job(newer)
        assert (job["state"], job["queue"]["code"]) == ("queued", "NEWER_REQUEST"), job
    site.worker(later, LATER_HOST)
    expect(site, api, {newer: "succeeded"})
    assert later_api.host_of(newer) == LATER_HOST
    say("a job with a field of a later version waited for that version's worker")


def _unknown_code(site: Site, api: Api, old_api: Api) -> None:
    """A failure whose code the old version does not know."""
    flood = site.project.request("flood", gate="a", entry_point="flood", resources={"host": OTHER_HOST})
    job_id = api.submit(flood)
    assert api.wait_for(job_id, "failed")["reason"]["code"] == "LOG_FLOOD"
    after = old_api.submit(site.project.request("after-the-flood", gate="a", resources={"host": HOST}))
    expect(site, api, {after: "succeeded"})
    api.get("/jobs")
    say(f"a failure with a code of this version: GET /jobs of the old API is {old_api.ask('/jobs').status_code}")


def back(site: Site, versions: Versions) -> None:
    """A worker of this version stops in mid-training. An old one that still runs goes on; none starts any more."""
    old_api, old_worker = _start_old(site, versions)
    _migrate(site, versions.this)
    api = site.api(versions.this)
    # One that locks its host's name waits for the end of the other, as ours does, and then it may not start any more.
    may_share = not versions.old.locks_its_host
    if may_share:
        old_worker.send(signal.SIGSTOP)
    else:
        old_worker.end(signal.SIGKILL)
    worker = site.worker(versions.this, HOST)
    trained = [
        one.submit(site.project.request(f"trained-{number}", gate="a")) for number, one in enumerate([old_api, api])
    ]
    api.wait_for_lines(trained)
    if may_share:
        old_worker.send(signal.SIGCONT)
        _end(worker)
        api.wait_for_lines(trained)
        say("the old worker of the host follows what one of this version began")
        old_worker.end(signal.SIGKILL)
    else:
        _end(worker)
        say(f"skipped: that an old worker follows. {versions.old.name} lets one worker of a name run on a machine")

    _end(old_api.part)
    if versions.old.schema == versions.this.schema:
        say(f"skipped: that no old program starts on the new schema. {versions.old.name} has the same")
    else:
        _none_starts(site, versions.old, old_api)

    site.worker(versions.this, HOST)
    api.wait_for_lines(trained)
    site.project.open("a")
    expect(site, api, dict.fromkeys(trained, "succeeded"))
    say("the worker of this version follows again; the jobs ended once and whole")


def _start_old(site: Site, versions: Versions) -> tuple[Api, Part]:
    _migrate(site, versions.old)
    return site.api(versions.old), site.worker(versions.old, HOST)


def _end(part: Part) -> None:
    part.end(signal.SIGTERM, seconds=END_SECONDS)


def _end_as_an_engine_does(part: Part) -> None:
    """SIGTERM, and SIGKILL when it is not over then: the old version waits for what it prepares."""
    with suppress(AssertionError):
        part.end(signal.SIGTERM)


def _migrate(site: Site, version: Version) -> None:
    done = site.migrate(version)
    assert done.returncode == 0, done.stderr


def _all_listed(api: Api, old_api: Api, job_ids: list[str]) -> None:
    for one in (api, old_api):
        listed = {job["id"] for job in one.get("/jobs")["jobs"]}
        assert listed >= {*job_ids}, listed


def _none_starts(site: Site, old: Version, old_api: Api) -> None:
    for part in (site.make_worker(old, HOST), replace(old_api.part, name="api-again")):
        _refuses_to_start(part)
    refused = site.migrate(old)
    assert (refused.returncode, REFUSAL in refused.stderr) == (1, True), refused
    say("an old worker, API or migration does not start on the new schema, and says why")


def _refuses_to_start(part: Part) -> None:
    part.launch()
    wait_until(lambda: part.has_died, what=f"the end of {part.name}")
    assert REFUSAL in part.log_of_this_start, part.log_of_this_start
