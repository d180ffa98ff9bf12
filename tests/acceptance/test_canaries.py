"""A secret of each kind, and jobs that print all of them in every form: none is in any place that the service fills."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.acceptance.support.canaries import (
    ALERTS_OF_A_FAILURE,
    API_TOKEN,
    CANARIES,
    ENOUGH,
    ENVIRONMENTS,
    HOOK,
    MOST_FILES,
    NOTHING_IS_MASKED,
)
from tests.acceptance.support.canary_ends import FAILING, LONG_FAILING, ONCE, TWICE, brought_about
from tests.acceptance.support.canary_stack import (
    Api,
    body_of,
    canary_stack,
    content,
    git_hosts,
    leaks,
    name_credentials,
    opening,
    submit,
)
from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.hook_receiver import hooks
from tests.acceptance.support.leaks import Secret, docker_with
from tests.acceptance.support.process_sampler import LEAST_LOOKS_A_SECOND, ProcessSampler
from tests.acceptance.support.projects import IMAGE, let_go
from tests.acceptance.support.sinks import blobs_content, postgres_content
from tests.support.engines import docker_or_skip
from tests.support.length import IS_LONG
from tests.support.network.cuttable import cuttable_engine
from tests.support.network.ports import free_port
from tests.support.servers.azurite import ACCOUNT, Azurite
from tests.support.servers.image_registry import ImageRegistry
from tests.support.servers.made_image import make_image
from tests.support.servers.postgres import ROLE, PostgresServer
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until


def kill_services(stack: Stack) -> None:
    """End the worker and all else at once, so that the next worker must adopt what trains."""
    for process in stack.processes(training=False):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    stack.wait_for_end()
    wait_until(lambda: not stack.processes(training=False), what="an end of all services")


def assert_told_to_no_other(sampler: ProcessSampler) -> None:
    """No program had a secret among its arguments, and in its environment only one that has a use for it."""
    sampler.stop()
    sys.stdout.write(f"{sampler.report}\n")
    assert sampler.arguments == {}
    sampler.environments.pop("lent", None)  # a variable of whoever says make up, whose processes all inherit it
    assert sampler.unexpected(ENVIRONMENTS) == {}
    assert sampler.looks_a_second > LEAST_LOOKS_A_SECOND


@contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """Have the processes stand still meanwhile."""
    found = [*processes]
    assert found
    for each in found:
        each.suspend()
    try:
        yield
    finally:
        for each in found:
            each.resume()


def test_no_canary_is_in_any_sink_in_any_form(tmp_path: Path) -> None:
    with hooks() as posts, git_hosts(tmp_path / "git") as addresses, canary_stack(tmp_path / "s", posts) as stack:
        api = Api(stack)
        opens, sampler = opening(stack, api), ProcessSampler({**CANARIES, "API": API_TOKEN, "hook": HOOK})
        sampler.watched |= opens
        sampler.start()
        name_credentials(stack, addresses["named"])
        template = body_of(addresses, "ok")
        signal = {"name": "canary", "template": template, "when": {"signal": {}}, "secret": HOOK.username}
        api.post("/triggers", signal)
        adopted = submit(api, addresses, "wait")
        ending = [submit(api, addresses, "ok"), submit(api, addresses, "fail", retry=TWICE)]
        by_file = submit(api, addresses, "ok", git_uri=addresses["named"])
        ways = [*FAILING, *(LONG_FAILING if IS_LONG else ()), ("GIT_AUTH_FAILED", {"git_uri": addresses["refused"]})]
        others = [submit(api, addresses, "ok", **changes) for _, changes in ways]
        api.post("/triggers/canary/signal", {"metric": "drift", "value": 1})
        assert api.wait(adopted, "running")["state"] == "running"
        ended = [api.wait(job) for job in ending]
        assert [(job["state"], len(job["attempts"])) for job in ended] == [("succeeded", 1), ("failed", 2)], ended
        shown = {name: docker_with(canary, stack) for name, canary in CANARIES.items()}
        assert not any(shown.values()), shown

        kill_services(stack)
        stack.start()
        let_go(*(each for each in stack.containers() if adopted["id"] in each.name))
        log = f"/jobs/{adopted['id']}/logs"
        wait_until(lambda: "told again" in api.get(log).text, timeout_seconds=120, what="output after the adoption")
        api.post(f"/jobs/{adopted['id']}/cancel", {"force": True})
        assert api.ended_with(adopted) == "USER_CANCELLED"
        assert api.ended_with(ending[1]) == "NONZERO_EXIT"

        assert api.wait(by_file)["state"] == "succeeded"
        assert [api.ended_with(job) for job in others] == [code for code, _ in ways]
        (fired,) = api.get("/jobs?trigger=canary").json()["jobs"]
        api.wait(fired)
        jobs = [adopted, *ending, by_file, *others, fired]
        assert leaks(stack, content(stack, api, posts, jobs), opens) == {}
        assert_told_to_no_other(sampler)
        assert api.get(log).text.count("***") > len(CANARIES) * 10
        assert "***" in api.job(ending[1])["reason"]["message"]
        assert len(posts.bodies) >= 2 * len(jobs)


@pytest.mark.skipif(not IS_LONG, reason="half a minute more: LONG=1")
def test_ends_that_hosts_registries_and_disks_bring_about_tell_none_either(tmp_path: Path) -> None:
    few = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
        "ATTEMPT_DISK_BYTES": "50000000",
        "LOG_LIMIT_BYTES": "20000",
        "SOURCE_MAX_FILES": str(MOST_FILES),
    }
    with ExitStack() as at_end:
        engine, registry = docker_or_skip(), ImageRegistry(is_silent=True)
        at_end.callback(engine.close)
        at_end.callback(registry.close)
        silent = at_end.enter_context(socket.create_server(("127.0.0.1", 0)))
        no_shell = make_image(engine, {"nothing": b"#!/nothing"})
        at_end.callback(lambda: engine.images.remove(no_shell, force=True))
        images = {"forbidden": "other:1", "silent": registry.name, "no-shell": no_shell}
        addresses = at_end.enter_context(git_hosts(tmp_path / "git", images))
        posts, allowed = at_end.enter_context(hooks()), f"{IMAGE},{registry.name},{no_shell}"
        stack = at_end.enter_context(canary_stack(tmp_path / "s", posts, IMAGE_ALLOWLIST=allowed, **few))
        host, api = urlsplit(addresses["git_uri"]).netloc.rpartition("@")[2], Api(stack)
        opens, sampler = opening(stack, api), ProcessSampler({**CANARIES, "API": API_TOKEN})
        sampler.watched |= opens
        sampler.start()
        name_credentials(stack, addresses["named"])
        ways = brought_about(addresses, host, nobody=free_port(), silent=silent.getsockname()[1])
        jobs = [submit(api, addresses, "ok", **changes, retry=ONCE) for changes in ways.values()]
        api.wait(jobs[-1], "running")
        for container in stack.containers():
            if jobs[-1]["id"] in container.name:
                container.remove(force=True)
        assert [api.ended_with(job) for job in jobs] == [*ways]

        with stopped(each for each in stack.processes() if "own_server:app" in " ".join(each.cmdline())):
            jobs.append(submit(api, addresses, "ok", retry=ONCE))
            assert api.ended_with(jobs[-1]) == "TRACKING_UNAVAILABLE"
        assert leaks(stack, content(stack, api, posts, jobs), opens) == {}
        assert_told_to_no_other(sampler)


@contextmanager
def unusable(folder: Path) -> Iterator[None]:
    """Have a file where the folder was meanwhile: modes mean nothing to a worker that is root."""
    aside = folder.rename(folder.with_name("aside"))
    folder.touch()
    yield
    folder.unlink()
    aside.rename(folder)


@pytest.mark.skipif(not IS_LONG, reason="half a minute more: LONG=1")
def test_ends_that_an_engine_a_host_or_the_worker_itself_brings_about_tell_none_either(tmp_path: Path) -> None:
    soon = {"HOST_LOST_AFTER_SECONDS": "6", "LEASE_SECONDS": "3"}
    with (
        hooks() as posts,
        git_hosts(tmp_path / "git") as addresses,
        cuttable_engine() as way,
        canary_stack(tmp_path / "s", posts, DOCKER_HOST=way.url, **soon) as stack,
    ):
        api, second = Api(stack), f"{stack.host}-second"
        opens, sampler = opening(stack, api), ProcessSampler({**CANARIES, "API": API_TOKEN})
        sampler.watched |= opens
        sampler.start()
        name_credentials(stack, addresses["named"])
        lost = submit(api, addresses, "wait", retry=ONCE)
        assert api.wait(lost, "running")["state"] == "running"

        way.cut_for_good()
        cut = submit(api, addresses, "ok", retry=ONCE)
        assert api.ended_with(cut) == "DOCKER_UNAVAILABLE"
        way.is_up = True
        with unusable(stack.data / "work" / stack.host):
            broken = submit(api, addresses, "ok", retry=ONCE)
            assert api.ended_with(broken) == "INTERNAL"
        assert leaks(stack, content(stack, api, posts, [lost, cut, broken]), opens) == {}  # Flower soon forgets them

        sealed = submit(api, addresses, "ok", resources={"host": second})
        kill_services(stack)
        (stack.data / "secret.key").unlink()
        stack.settings = {**stack.settings, "WORKER_HOST": second}
        stack.start()
        assert (api.ended_with(sealed), api.ended_with(lost)) == ("INTERNAL", "HOST_LOST")
        found = content(stack, api, posts, [lost, sealed])
        opens["its second key"] = Secret((stack.data / "secret.key").read_text().strip(), "")
        assert leaks(stack, found, opens) == {"its second key": ["secret.key"]}
        assert_told_to_no_other(sampler)


def test_the_same_search_finds_them_where_nothing_is_masked(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOTHING_IS_MASKED)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    with (
        hooks() as posts,
        git_hosts(tmp_path / "git") as addresses,
        canary_stack(tmp_path / "s", posts, PYTHONPATH=path) as stack,
    ):
        api = Api(stack)
        job = submit(api, addresses, "fail")
        assert api.wait(job)["state"] == "failed"
        wait_until(lambda: len(posts.bodies) >= ALERTS_OF_A_FAILURE, timeout_seconds=60, what="all posts")
        found = leaks(stack, content(stack, api, posts, [job]))
        assert {"Redis", "Flower", "posts", f"API /jobs/{job['id']}"} <= set(found["lent"]), found
        assert sum(map(len, found.values())) >= ENOUGH, found
        assert found.keys() == CANARIES.keys()  # a training was told of each


def test_what_opens_the_databases_and_the_artifacts_is_in_no_sink_either(
    tmp_path: Path, postgres_server: PostgresServer, azurite: Azurite
) -> None:
    jobs_db, mlflow_db = (postgres_server.url(postgres_server.create_database(migrated=False)) for _ in range(2))
    opens = {"PostgreSQL": Secret(ROLE, postgres_server.password), "Azure": Secret(ACCOUNT, azurite.key)}
    with hooks() as posts, git_hosts(tmp_path / "git") as addresses, azurite.new_container() as artifacts:
        more = {
            "DATABASE_URL": jobs_db,
            "MLFLOW_DATABASE_URL": mlflow_db,
            "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
            "ARTIFACTS_DESTINATION": f"wasbs://{artifacts.container_name}@{ACCOUNT}.blob.core.windows.net/mlflow",
        }
        with canary_stack(tmp_path / "s", posts, **more) as stack:
            api, sampler = Api(stack), ProcessSampler({**CANARIES, "API": API_TOKEN, **opens})
            sampler.start()
            name_credentials(stack, addresses["named"])
            jobs = [submit(api, addresses, mode) for mode in ("ok", "fail")]
            assert [api.wait(job)["state"] for job in jobs] == ["succeeded", "failed"]
            found = {
                **content(stack, api, posts, jobs),
                "jobs": postgres_content(jobs_db),
                "MLflow": postgres_content(mlflow_db),
                "artifacts": blobs_content(artifacts),
            }
            assert leaks(stack, found, opens) == {}
            assert_told_to_no_other(sampler)
            assert jobs[0]["id"].encode() in found["jobs"]
            assert b"retrain/attempt-1.log" in found["artifacts"]
