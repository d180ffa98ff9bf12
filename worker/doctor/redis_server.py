"""Checks Redis: that it answers, persists what it is sent, and never drops a message."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError

from shared.settings import Settings
from worker.findings.clocks import compare
from worker.findings.finding import Finding, failure, ok, skipped, warning

TIMEOUT_SECONDS = 5
OLDEST = 6
PROBE = "retrain:doctor"
PROBE_SECONDS = 60
LOSES = "Until then a restart loses messages; their jobs start RESEND_AFTER_SECONDS later, by the sweep."


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Check the server at REDIS_URL."""
    try:
        client = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
    except ValueError:
        advice = (
            "Give it the form redis://:password@host:6379/0, or rediss:// for TLS; encode special characters (%40)."
        )
        yield failure("Redis", "REDIS_URL is not the address of a Redis server", advice)
        return
    with client:
        try:
            yield from _look(client)
        except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
            yield failure("Redis", f"it refuses our password or user: {error}", _advice_on_password())
        except RedisError as error:
            yield failure("Redis", str(error), "Start Redis, or correct REDIS_URL; check host, port, TLS and firewall.")


def _look(client: Redis) -> Iterator[Finding]:
    info = client.info()
    yield _version(info)
    yield _writes(client)
    settings = _configured(client)
    yield _append_only(info)
    yield _append_fsync(settings.get("appendfsync"))
    yield _eviction(info.get("maxmemory_policy") or settings.get("maxmemory-policy") or "unknown")
    before = time.time()
    seconds, microseconds = client.time()
    ours = datetime.fromtimestamp((before + time.time()) / 2, UTC)
    yield compare("Redis'", datetime.fromtimestamp(seconds + microseconds / 1e6, UTC), ours)


def _version(info: dict[str, Any]) -> Finding:
    version = str(info["redis_version"])
    shown = f"answers, version {version}"
    if int(version.partition(".")[0]) >= OLDEST:
        return ok("Redis", shown)
    return failure("Redis", shown, f"Celery needs Redis {OLDEST} or newer (or any Valkey): upgrade the server.")


def _writes(client: Redis) -> Finding:
    try:
        client.set(PROBE, "1", ex=PROBE_SECONDS)
    except ResponseError as error:
        advice = "REDIS_URL must name the primary, not a replica, and its disk and memory must have room."
        return failure("Redis writes", f"refused: {error}", advice)
    return ok("Redis writes", "taken")


def _configured(client: Redis) -> Mapping[str | None, str | None]:
    """Return the server's configuration; nothing if a provider forbids asking."""
    try:
        return client.config_get("*")
    except ResponseError:
        return {}


def _append_only(info: dict[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        return ok("Redis appendonly", "yes")
    advice = f"Set `appendonly yes` in redis.conf (now: redis-cli CONFIG SET appendonly yes). {LOSES}"
    return failure("Redis appendonly", "no: a restart loses messages", advice)


def _append_fsync(value: str | None) -> Finding:
    if value is None:
        return skipped("Redis appendfsync", "this server does not reveal its configuration")
    if value == "always":
        return ok("Redis appendfsync", value)
    advice = f"Set `appendfsync always` in redis.conf (now: redis-cli CONFIG SET appendfsync always). {LOSES}"
    return warning("Redis appendfsync", f"{value}: a crash loses the last second or more", advice)


def _eviction(policy: str) -> Finding:
    if policy == "noeviction":
        return ok("Redis eviction", policy)
    advice = (
        "Set `maxmemory-policy noeviction` in redis.conf (now: redis-cli CONFIG SET maxmemory-policy noeviction): "
        "otherwise keys are evicted when memory runs short, and a queue is a key like any other."
    )
    seen = f"maxmemory-policy is {policy}"
    if policy.startswith("volatile-"):  # queued messages never expire; the results of ended tasks do
        return warning("Redis eviction", f"{seen}: what Flower shows may disappear early", advice)
    return failure("Redis eviction", seen, advice)


def _advice_on_password() -> str:
    return (
        "Put the right one into REDIS_URL (redis://user:password@host:port/0). The one that `make up` uses is in "
        "DATA_DIR/redis-password; it is taken from there while REDIS_URL is not set."
    )
