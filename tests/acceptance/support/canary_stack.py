"""A stack with a secret of each kind, and what is asked of it and looked through."""

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.acceptance.support.canaries import (
    API_TOKEN,
    CANARIES,
    ENDED_SECONDS,
    FILES_OF_THEIR_OWN,
    HOOK,
    HTTP_SECONDS,
    MOST_FILES,
    NO_IMAGE,
    PROJECT,
    TRAIN,
)
from tests.acceptance.support.hook_receiver import Posts
from tests.acceptance.support.leaks import Secret, command_lines, files_with
from tests.acceptance.support.projects import IMAGE
from tests.acceptance.support.sinks import flower_content, redis_content
from tests.support.engines import docker_or_skip
from tests.support.servers.git_server import GitServer
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until


def quoted(name: str) -> str:
    """A canary as a part of an address."""
    return quote(CANARIES[name].password, safe="")


def settings(posts: Posts) -> dict[str, str]:
    hook = f"http://127.0.0.1:{posts.port}"
    return {
        "SLOTS": "3",
        "LIMIT_PER_KEY": "3",
        "LOG_LEVEL": "DEBUG",
        "CANARY": CANARIES["lent"].password,
        "PROJECT_ENV_ALLOWLIST": "CANARY",
        "MLFLOW_TRACKING_USERNAME": "robot",
        "MLFLOW_TRACKING_PASSWORD": CANARIES["mlflow"].password,
        "ALERT_WEBHOOK_URL": f"{hook}/hook/{quoted('webhook')}",
        "DISCORD_WEBHOOK_URL": f"{hook}/api/webhooks/1/{quoted('discord')}",
        "ALERT_WEBHOOK_SECRET": CANARIES["signature"].password,
        "API_TOKENS": API_TOKEN.username,
        "RETRY_INITIAL_DELAY_SECONDS": "0",
    }


@contextmanager
def canary_stack(folder: Path, posts: Posts, **more: str) -> Iterator[Stack]:
    docker_or_skip().close()
    stack = Stack(folder, "docker", settings(posts) | more)
    login = base64.b64encode(f"robot:{CANARIES['registry'].password}".encode()).decode()
    (folder / "home" / ".docker").mkdir(parents=True)
    file = folder / "credentials.toml"
    file.touch(mode=0o600)  # filled while the worker runs
    stack.settings = {**stack.settings, "CREDENTIALS_FILE": str(file)}
    (folder / "home" / ".docker" / "config.json").write_text(json.dumps({"auths": {"r.example": {"auth": login}}}))
    try:
        stack.start()
        yield stack
    finally:
        stack.clean()


class Api:
    """The stack's API, by its token."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.urls["api"]
        self._headers = {"Authorization": f"Bearer {API_TOKEN.username}"}

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = requests.post(f"{self._url}{path}", json=body, headers=self._headers, timeout=HTTP_SECONDS)
        assert answer.ok, answer.text
        return dict(answer.json())

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self._url}{path}", headers=self._headers, timeout=HTTP_SECONDS)

    def job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.get(f"/jobs/{job['id']}").json())

    def wait(self, job: Mapping[str, Any], what: str = "ended") -> dict[str, Any]:
        def is_so() -> bool:
            seen = self.job(job)
            return bool(seen["ended_at"]) or seen["state"] == what

        wait_until(is_so, timeout_seconds=ENDED_SECONDS, every_seconds=0.2, what=f"{what} of {job['id']}")
        return self.job(job)

    def ended_with(self, job: Mapping[str, Any]) -> str | None:
        """The code of its failure, when it has ended."""
        reason: dict[str, str] = self.wait(job)["reason"] or {}
        return reason.get("code")


def routes(api: Api) -> list[str]:
    """Every GET route without a parameter, and those about the trigger."""
    found = api.get("/openapi.json").json()["paths"]
    plain = [path for path, methods in found.items() if "get" in methods and "{" not in path]
    return [*plain, "/triggers/canary", "/triggers/canary/events", "/tokens", "/audit"]


def opening(stack: Stack, api: Api) -> dict[str, Secret]:
    """What opens parts of the service, and is told to no training."""
    flower = (stack.data / "flower-password").read_text().strip()
    token = api.post("/tokens", {"name": "canary", "roles": ["submitter"]})
    return {
        "API": API_TOKEN,
        "token": Secret(max((str(each) for each in token.values() if str(each).startswith("art_")), key=len), ""),
        "hook": HOOK,
        "SECRET_KEY": Secret((stack.data / "secret.key").read_text().strip(), ""),
        "Redis": Secret((stack.data / "redis-password").read_text().strip(), ""),
        "Flower": Secret(flower, ""),
    }


def name_credentials(stack: Stack, place: str) -> None:
    """Write an entry into the file of the worker that runs."""
    lines = ["[[git]]", f"url = {json.dumps(place)}", 'username = "robot"']
    lines += [f"password = {json.dumps(CANARIES['named'].password)}"]
    (stack.folder / "credentials.toml").write_text("\n".join(lines))


def content(stack: Stack, api: Api, posts: Posts, jobs: list[dict[str, Any]]) -> dict[str, bytes]:
    """What all sinks hold, but for files."""
    paths = [*routes(api), "/jobs/no-such-job"]
    paths += [path for job in jobs for path in (f"/jobs/{job['id']}", f"/jobs/{job['id']}/logs")]
    return {
        "services' lines": stack.log.encode(),
        "Redis": redis_content(stack),
        "Flower": flower_content(stack, jobs),
        "posts": b"\n".join(posts.bodies),
        **{f"API {path}": api.get(path).content for path in paths},
        "arguments": b"\n".join(command_lines()),
    }


def leaks(stack: Stack, found: Mapping[str, bytes], opens: Mapping[str, Secret] = {}) -> dict[str, list[str]]:
    """By canary, where it is and has no reason to be."""
    places: dict[str, list[str]] = {}
    for name, canary in {**CANARIES, "API": API_TOKEN, **opens}.items():
        files = [each for folder in (stack.data, stack.folder / "tmp") for each in files_with(canary, folder)]
        seen = [at for at, text in found.items() if canary.is_in(text)]
        if left := [*seen, *(set(files) - FILES_OF_THEIR_OWN.get(name, set()))]:
            places[name] = left
    return places


@contextmanager
def git_hosts(folder: Path, images: Mapping[str, str] = {}) -> Iterator[dict[str, str]]:
    """A host for the source and one for the data; their addresses, with what opens them.

    The source has a folder for each of the images, with the same project.
    """
    names = ("git", "dataset", "named")
    source, data, named = (GitServer(folder / name, "robot", CANARIES[name].password) for name in names)
    with source, data, named:
        # Its job is not told the other jobs' logins, so its log could not hide them.
        known = CANARIES["named"].password
        named.create("source", {"MLproject": PROJECT, "train.py": f"print({known[::-1]!r}[::-1])"})
        others = {f"{name}/MLproject": PROJECT.replace(IMAGE, image) for name, image in images.items()}
        others |= {"step/MLproject": PROJECT.replace('"python', '"false | python'), "step/train.py": TRAIN}
        source.create("source", {"MLproject": PROJECT, "train.py": TRAIN, "no-image/MLproject": NO_IMAGE, **others})
        source.create("large", {"MLproject": PROJECT, **{f"data/{number}": "" for number in range(MOST_FILES)}})
        data.create("data", {"data.csv": "1,2"})
        yield {
            "git_uri": source.url("source", with_credentials=True),
            "large": source.url("large", with_credentials=True),
            "refused": source.url("source", with_credentials=True).replace("robot:", "stranger:"),
            "dataset_uri": data.url("data", with_credentials=True),
            "named": named.url("source"),
        }


def submit(api: Api, addresses: Mapping[str, str], mode: str, **changes: Any) -> dict[str, Any]:
    return api.post("/retrain", body_of(addresses, mode) | changes)


def body_of(addresses: Mapping[str, str], mode: str) -> dict[str, Any]:
    """A request with both logins: a job masks those of others only if the service itself has them."""
    uris = {name: addresses[name] for name in ("git_uri", "dataset_uri")}
    return {"experiment_name": "canaries", **uris, "parameters": {"mode": mode}}
