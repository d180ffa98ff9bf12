"""What of an MLproject's docker_env is allowed: environment variables and volumes."""

from pathlib import Path

import pytest

from shared.errors import UserError
from worker.project.docker_env import Environment, permit_environment, permit_volumes
from worker.project.entry_points import EnvironmentVariable, Project
from worker.runners.seam import Volume


def test_a_projects_own_variables_need_no_permission() -> None:
    project = Project("iris", environment=(EnvironmentVariable("MODE", "fast"),))
    assert permit_environment(project, frozenset(), {}) == Environment({"MODE": "fast"}, {})


def test_a_variable_of_the_worker_is_copied_only_when_allowed() -> None:
    project = Project("iris", environment=(EnvironmentVariable("HTTP_PROXY"),))
    host = {"HTTP_PROXY": "http://proxy", "SECRET_KEY": "secret"}
    assert permit_environment(project, {"HTTP_PROXY"}, host) == Environment({}, {"HTTP_PROXY": "http://proxy"})
    with pytest.raises(UserError, match="PROJECT_ENV_ALLOWLIST") as caught:
        permit_environment(Project("iris", environment=(EnvironmentVariable("SECRET_KEY"),)), {"HTTP_PROXY"}, host)
    assert caught.value.facts["setting"] == "PROJECT_ENV_ALLOWLIST"
    assert "secret" not in caught.value.message


def test_an_allowed_variable_that_is_not_set_is_named() -> None:
    project = Project("iris", environment=(EnvironmentVariable("HTTP_PROXY"),))
    with pytest.raises(UserError, match="'HTTP_PROXY'"):
        permit_environment(project, {"HTTP_PROXY"}, {})


def test_a_variable_that_the_service_sets_anyway_needs_no_permission_and_is_not_copied() -> None:
    project = Project(
        "iris", environment=(EnvironmentVariable("MLFLOW_TRACKING_URI"), EnvironmentVariable("MODE", "a"))
    )
    host = {"MLFLOW_TRACKING_URI": "http://of-the-worker"}
    for allowed in (frozenset[str](), frozenset(host)):
        assert permit_environment(project, allowed, host, set_anyway=host) == Environment({"MODE": "a"}, {})


@pytest.mark.parametrize(
    ("text", "inside", "target"),
    [
        ("${PWD}/data:/data", "data", "/data"),
        ("$PWD/a/b:/in:ro", "a/b", "/in"),
        ("$(pwd):/home/app", ".", "/home/app"),
        ("`pwd`:/home/app", ".", "/home/app"),
        ("./data:/d", "data", "/d"),
        (".:/mlproject", ".", "/mlproject"),
    ],
)
def test_a_projects_own_folder_as_a_volume_is_said_to_be_there_already(text: str, inside: str, target: str) -> None:
    with pytest.raises(UserError, match="VOLUME_ALLOWLIST can allow that") as caught:
        permit_volumes(Project("iris", volumes=(text,)), {"/data", "${PWD}/data", "."})
    assert f"Take the volume out of docker_env, and use {inside} in place of {target}." in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        *("${DATA_PATH}:/d", "${A:-/x}:/d", "$HOME/x:/d", "$(pwd)/../x:/d", "$(cat f):/d", "~/.aws:/d", "`id`:/d"),
        *("../x:/d", "./../x:/d", "..:/d"),
    ],
)
def test_what_only_a_shell_could_read_is_to_be_written_out(text: str) -> None:
    with pytest.raises(UserError, match="Write the folder's own path") as caught:
        permit_volumes(Project("iris", volumes=(text,)), {"/", text.rpartition(":")[0]})
    assert caught.value.facts["setting"] == "VOLUME_ALLOWLIST"


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("/data:/data", Volume("/data", "/data", "rw")),
        ("/data/sets/iris:/in:ro", Volume("/data/sets/iris", "/in", "ro")),
        ("cache:/cache", Volume("cache", "/cache", "rw")),
    ],
)
def test_a_volume_under_an_allowed_one_is_mounted(text: str, volume: Volume) -> None:
    assert permit_volumes(Project("iris", volumes=(text,)), {"/data", "cache"}) == (volume,)


@pytest.mark.parametrize(
    "text", ["/:/host", "/data/../etc:/etc", "/database:/d", "/data2:/d", "other:/d", "data:/d", "./data:/d"]
)
def test_a_volume_outside_the_allowed_ones_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="VOLUME_ALLOWLIST") as caught:
        permit_volumes(Project("iris", volumes=(text,)), {"/data", "cache"})
    assert caught.value.facts["setting"] == "VOLUME_ALLOWLIST"


@pytest.mark.parametrize("text", ["/data", "", ":/d", "/data:relative", "/data:/d:rshared"])
def test_a_volume_that_is_not_source_and_target_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="source:/target"):
        permit_volumes(Project("iris", volumes=(text,)), {"/data"})


def test_a_link_out_of_an_allowed_folder_is_not_mounted(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "way-out").symlink_to("/etc")
    with pytest.raises(UserError, match="VOLUME_ALLOWLIST"):
        permit_volumes(Project("iris", volumes=(f"{allowed}/way-out:/d",)), {str(allowed)})
