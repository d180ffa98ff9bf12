"""Images that attempts need, on a real engine: which one a pin means, and which may be removed for room."""

import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

from shared.errors import AttemptCancelled, AttemptError, AttemptTimeout, Code, InfrastructureError
from tests.integration.runners.docker.conftest import IMAGE
from tests.support.servers.image_registry import ImageRegistry
from worker.credentials.pulling import Pull
from worker.interruption import Interruption
from worker.runners.docker.pulled_images import PulledImages
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec, Image

MOST_SECONDS = 2.0  # until a pull that is interrupted has ended
HOST = f"test-{secrets.token_hex(4)}"


@pytest.fixture
def registry(engine: docker.DockerClient) -> Iterator[ImageRegistry]:
    yield from _served(engine, ImageRegistry())


@pytest.fixture
def private_registry(engine: docker.DockerClient) -> Iterator[ImageRegistry]:
    yield from _served(engine, ImageRegistry(login="team:hunter2"))


def _served(engine: docker.DockerClient, registry: ImageRegistry) -> Iterator[ImageRegistry]:
    yield registry
    registry.close()
    for image in engine.images.list(registry.name.rpartition(":")[0], all=True):
        engine.images.remove(str(image.id), force=True)


@pytest.fixture
def pulled(tmp_path: Path) -> PulledImages:
    return PulledImages(tmp_path / "images.json")


@pytest.fixture
def runner(pulled: PulledImages) -> Iterator[DockerRunner]:
    runner = DockerRunner(os.environ, host=HOST, pulled=pulled)
    yield runner
    runner.close()


def prepare(runner: DockerRunner, name: str, *, pinned: str | None = None) -> Image:
    found = runner.prepare_image(name, pinned=pinned, timeout_seconds=60)
    assert found is not None
    return found


def error_of(call: Callable[[], object]) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value


def is_here(engine: docker.DockerClient, image: Image) -> bool:
    try:
        return bool(engine.images.get(image.id))
    except ImageNotFound:
        return False


def test_an_image_that_is_here_is_not_pulled(runner: DockerRunner, engine: docker.DockerClient) -> None:
    found = runner.prepare_image(IMAGE, timeout_seconds=1)
    assert found is not None
    assert found.id == engine.images.get(IMAGE).id


def test_a_project_without_image_is_told_to_name_one(runner: DockerRunner) -> None:
    assert error_of(lambda: runner.prepare_image(None, timeout_seconds=1)).code is Code.INVALID_PROJECT


@pytest.mark.parametrize("image", ["-foo", "PYTHON", "--privileged", "http://x/y", "../containers/json"])
def test_what_is_no_image_is_refused_before_the_engine_is_asked(image: str) -> None:
    runner = DockerRunner({"DOCKER_HOST": "tcp://127.0.0.1:1"}, host=HOST)
    error = error_of(lambda: runner.prepare_image(image, timeout_seconds=1))
    assert error.code is Code.INVALID_PROJECT
    assert image in error.message


def test_a_missing_image_is_pulled_and_its_digest_kept(runner: DockerRunner, registry: ImageRegistry) -> None:
    found = runner.prepare_image(registry.name, timeout_seconds=60)
    assert found is not None
    assert (found.digest, found.was_pulled) == (registry.digest, True)
    assert runner.prepare_image(registry.name, timeout_seconds=60) == replace(found, was_pulled=False)


def test_an_image_that_the_registry_does_not_have_fails_by_name(
    runner: DockerRunner, registry: ImageRegistry, tmp_path: Path
) -> None:
    missing = registry.name.replace("trainer", "nothing")
    error = error_of(lambda: runner.prepare_image(missing, timeout_seconds=60))
    assert isinstance(error, InfrastructureError)
    assert error.code is Code.IMAGE_PULL_FAILED
    assert error.facts == {"image": missing}
    spec = AttemptSpec(secrets.token_hex(6), 1, image=missing, command="true", source=tmp_path)
    assert error_of(lambda: runner.start_or_attach(spec)).code is Code.IMAGE_PULL_FAILED


def test_a_registry_that_says_nothing_is_given_up(runner: DockerRunner) -> None:
    registry = ImageRegistry(is_silent=True)
    try:
        error = error_of(lambda: runner.prepare_image(registry.name, timeout_seconds=1))
    finally:
        registry.close()
    assert isinstance(error, AttemptTimeout)
    assert error.code is Code.PULL_TIMEOUT


def test_a_pull_that_waits_for_its_registry_ends_as_soon_as_it_is_interrupted(runner: DockerRunner) -> None:
    registry, interruption, interrupted_at = ImageRegistry(is_stuck=True), Interruption(), list[float]()

    def cancel() -> None:
        assert registry.is_asked.wait(60)
        interrupted_at.append(time.monotonic())
        interruption.interrupt(AttemptCancelled.on_request())

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    try:
        with pytest.raises(AttemptCancelled):
            runner.prepare_image(registry.name, timeout_seconds=60, interruption=interruption)
        assert time.monotonic() - interrupted_at[0] < MOST_SECONDS
    finally:
        registry.close()
        cancelling.join()


def test_an_image_that_was_pulled_is_removed_once_nothing_needs_it(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry, pulled: PulledImages
) -> None:
    image = prepare(runner, registry.name)
    container = engine.containers.create(image.id, ["none"])
    try:
        assert not runner.remove_image(image.id)
    finally:
        container.remove()
    assert is_here(engine, image)
    assert runner.remove_image(image.id)
    assert not is_here(engine, image)
    assert pulled.by_use() == []


def test_an_image_that_somebody_else_removed_is_forgotten(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry, pulled: PulledImages
) -> None:
    image = prepare(runner, registry.name)
    engine.images.remove(image.id)
    assert runner.remove_image(image.id)
    assert pulled.by_use() == []


@pytest.mark.parametrize("repository", ["other", "same"])
def test_an_image_that_somebody_gave_another_name_stays_with_all_its_names(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry, repository: str
) -> None:
    image = prepare(runner, registry.name)
    own = registry.name.rpartition(":")[0]
    other = own if repository == "same" else f"test-{secrets.token_hex(4)}"
    engine.images.get(image.id).tag(other, "theirs")
    try:
        assert not runner.remove_image(image.id)
        assert sorted(engine.images.get(image.id).tags) == sorted([registry.name, f"{other}:theirs"])
    finally:
        engine.images.remove(f"{other}:theirs")
    assert runner.remove_image(image.id)


def test_an_image_that_another_was_built_on_stays(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry
) -> None:
    image = prepare(runner, registry.name)
    container = engine.containers.create(image.id, ["none"])
    child = container.commit(f"test-{secrets.token_hex(4)}", "1")
    container.remove()
    try:
        assert not runner.remove_image(image.id)
    finally:
        engine.images.remove(child.tags[0])


def test_an_image_that_was_here_before_is_not_ours_whatever_other_name_we_pull_it_by(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry, pulled: PulledImages
) -> None:
    theirs = engine.images.pull(registry.name)
    theirs.tag("test-theirs", "1")
    engine.images.remove(registry.name)
    try:
        image = prepare(runner, registry.name)
        assert (image.id, image.was_pulled) == (theirs.id, True)
        engine.images.remove("test-theirs:1")
        assert not runner.remove_image(image.id)
        assert pulled.by_use() == []
        assert is_here(engine, image)
    finally:
        for tag in theirs.tags:
            if tag == "test-theirs:1" and engine.images.list("test-theirs"):
                engine.images.remove(tag)


def test_an_image_that_we_pulled_by_two_names_goes_with_both(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry
) -> None:
    again = registry.name.replace("127.0.0.1", "localhost")
    image = prepare(runner, registry.name)
    assert prepare(runner, again).id == image.id
    assert runner.remove_image(image.id)
    assert not is_here(engine, image)
    assert not engine.images.list(again)


def test_a_pinned_image_that_is_here_is_used_whatever_the_name_means_now(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry
) -> None:
    image = prepare(runner, registry.name)
    engine.images.get("python:3.11-slim").tag(*registry.name.rsplit(":", 1))
    for pinned in (image.id, image.digest):
        assert prepare(runner, registry.name, pinned=pinned).id == image.id
    assert prepare(runner, registry.name).id != image.id
    engine.images.remove(registry.name)


def test_a_pinned_image_that_is_gone_is_pulled_by_its_digest(
    runner: DockerRunner, engine: docker.DockerClient, registry: ImageRegistry
) -> None:
    image = prepare(runner, registry.name)
    engine.images.remove(image.id)
    again = prepare(runner, registry.name.replace(":1", ":no-longer-there"), pinned=image.digest)
    assert (again.id, again.was_pulled) == (image.id, True)


def test_where_a_pinned_image_is_nowhere_the_name_says_which(
    runner: DockerRunner, registry: ImageRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    assert prepare(runner, registry.name, pinned="sha256:" + "0" * 64).digest == registry.digest
    assert "pinned image is gone" in caplog.text


def test_a_private_registry_is_opened_by_the_login_that_docker_login_wrote(
    private_registry: ImageRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = private_registry.name.partition("/")[0]
    config = tmp_path / "docker" / "config.json"
    config.parent.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(config.parent))
    for written in ({}, {"auths": {server: {"auth": private_registry.login}}}):
        config.write_text(json.dumps(written))
        runner = DockerRunner(os.environ, host=HOST, pulled=PulledImages(tmp_path / "images.json"))
        try:
            if written:
                assert prepare(runner, private_registry.name).digest == private_registry.digest
            else:
                error = error_of(partial(prepare, runner, private_registry.name))
                assert error.code == Code.IMAGE_PULL_FAILED
                assert "hunter2" not in error.message
        finally:
            runner.close()


def test_the_operators_login_opens_a_registry_and_an_image_of_others_is_asked_for_there(
    private_registry: ImageRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runner: DockerRunner
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    prepare_by = partial(runner.prepare_image, private_registry.name, timeout_seconds=60)
    found = prepare_by(pull=Pull("team", "hunter2"))
    assert found is not None
    assert found.digest == private_registry.digest
    for pinned in (None, found.digest, found.id):  # it is on this host's disk by now
        error = error_of(partial(prepare_by, pinned=pinned, pull=Pull(asks_registry=True)))
        assert error.code == Code.IMAGE_PULL_FAILED
    assert prepare_by(pull=Pull("team", "hunter2")) == replace(found, was_pulled=False)
