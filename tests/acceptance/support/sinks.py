"""What Redis and Flower hold of a stack, whole."""

from typing import Any

import psycopg
import requests
from azure.storage.blob import ContainerClient
from psycopg import sql
from redis import Redis

from tests.acceptance.support.canaries import HTTP_SECONDS
from tests.support.servers.stack import Stack


def redis_content(stack: Stack) -> bytes:
    """Every key with what it holds; bodies of messages are JSON in base64, which the search knows."""
    password = (stack.data / "redis-password").read_text().strip()
    readers = {b"string": "get", b"list": "lrange", b"set": "smembers", b"hash": "hgetall", b"zset": "zrange"}
    with Redis(port=stack.ports["redis"], password=password) as client:
        whole = {b"list": (0, -1), b"zset": (0, -1)}
        kinds = {key: client.type(key) for key in client.scan_iter()}
        found = {key: getattr(client, readers[kind])(key, *whole.get(kind, ())) for key, kind in kinds.items()}
    assert any(key.startswith(b"celery-task-meta") for key in found)
    return b"\n".join(
        key + b" " + (value if isinstance(value, bytes) else repr(value).encode()) for key, value in found.items()
    )


def postgres_content(url: str) -> bytes:
    """Every row of every table, as text."""
    with psycopg.connect(url.replace("+psycopg", "")) as database:
        found = database.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [name for (name,) in found]
        rows = [
            row[0]
            for name in tables
            for row in database.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(name)))
        ]
    assert rows
    return "\n".join(rows).encode()


def blobs_content(container: ContainerClient) -> bytes:
    """Every blob, with its name."""
    names = list(container.list_blob_names())
    assert names
    return b"\n".join(name.encode() + b" " + container.download_blob(name).readall() for name in names)


def flower_content(stack: Stack, jobs: list[dict[str, Any]]) -> bytes:
    login = ("admin", (stack.data / "flower-password").read_text())
    paths = ["/api/tasks", "/tasks", *(f"/task/{job['id']}" for job in jobs)]
    answers = [requests.get(f"{stack.urls['flower']}{path}", auth=login, timeout=HTTP_SECONDS) for path in paths]
    assert answers[0].ok
    assert any(job["id"].encode() in answers[0].content for job in jobs)  # a Flower that was killed forgets the latest
    return b"\n".join(answer.content for answer in answers)
