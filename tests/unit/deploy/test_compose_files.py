"""What the compose stack is made of: the files that `make secrets` makes, and settings that reach the services."""

import stat
from pathlib import Path

import yaml

from deploy.make_secrets import ALERTS, GIVEN, fill
from shared.secrets.files import is_secret
from shared.settings import Settings


def test_made_secrets_are_random_fit_each_other_and_are_their_owners_alone(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        fill(folder)
    said = [{path.name: path.read_text() for path in folder.iterdir() if path.is_file()} for folder in folders]
    assert {name for name in said[0] if said[0][name] == said[1][name]} == {*GIVEN}
    assert said[0]["redis_password"] in said[0]["redis_url"]
    assert said[0]["postgres_password"] in said[0]["database_url"]
    assert said[0]["prometheus_token"] not in said[0]["api_tokens"]
    assert stat.S_IMODE(folders[0].stat().st_mode) == 0o700


def test_secrets_that_are_there_are_never_overwritten_and_new_ones_fit_them(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "redis_password").write_text("mine")
    (tmp_path / "redis_url").unlink()
    assert fill(tmp_path) == ["redis_url"]
    assert (tmp_path / "redis_password").read_text() == "mine"
    assert (tmp_path / "redis_url").read_text() == "redis://:mine@redis:6379/0"


def test_every_secret_setting_has_a_file_in_the_compose_stack() -> None:
    text = (Path(__file__).parents[3] / "deploy/docker-compose.yml").read_text()
    wanted = {f"{name.upper()}_FILE: " for name, field in Settings.model_fields.items() if is_secret(field)}
    assert {name for name in wanted if name not in text} == set()


def test_secrets_of_alert_channels_reach_the_containers_that_send_or_name_them(tmp_path: Path) -> None:
    fill(tmp_path)
    assert stat.S_IMODE((tmp_path / ALERTS).stat().st_mode) == 0o755  # read by users of containers
    files = {"docker-compose.yml": ["api", "worker"], "docker-compose.worker.yml": ["worker"]}
    for name, services in files.items():
        said = yaml.safe_load((Path(__file__).parents[3] / "deploy" / name).read_text())["services"]
        for service in services:
            folder = said[service]["environment"]["ALERT_SECRETS_FOLDER"]
            assert f"${{SECRETS_DIR:-./secrets}}/{ALERTS}:{folder}:ro" in said[service]["volumes"]


def test_every_variable_of_the_compose_file_stands_in_the_example_env_file() -> None:
    deploy = Path(__file__).parents[3] / "deploy"
    used = {part.split("}")[0].split(":")[0] for part in (deploy / "docker-compose.yml").read_text().split("${")[1:]}
    shown = {line.lstrip("#").split("=")[0] for line in (deploy / ".env.example").read_text().splitlines()}
    assert used - shown == set()
