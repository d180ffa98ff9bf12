"""Connects to a Docker engine, and turns its errors into ours."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import docker
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from shared.errors import InfrastructureError
from worker.runners.docker.failures import unavailable

ENGINE_ERRORS = (DockerException, RequestException, HTTPError)


class Engine:
    """One engine, which may start later. ``environment`` has DOCKER_HOST and related variables."""

    def __init__(self, environment: Mapping[str, str], *, timeout_seconds: float) -> None:
        self._environment = dict(environment)
        self.timeout_seconds = math.ceil(timeout_seconds)

    @cached_property
    def client(self) -> docker.DockerClient:
        """The client that all threads share."""
        return docker.DockerClient(version="auto", timeout=self.timeout_seconds, **self.connection())

    def connection(self) -> dict[str, Any]:
        """Return the arguments for any client of this engine."""
        return {**kwargs_from_env(environment=self._environment)}


@contextmanager
def engine_answers(doing: str, **facts: object) -> Iterator[None]:
    """Raise DOCKER_UNAVAILABLE if the engine does not answer, or fails."""
    try:
        yield
    except ENGINE_ERRORS as error:
        raise unavailable(doing, error, **facts) from error


def why(error: APIError) -> str:
    """Return what the engine said."""
    return str(error.explanation or error)


def engine_said(error: InfrastructureError) -> str:
    """Return the engine's own words from an error that `engine_answers` raised."""
    return why(error.__cause__) if isinstance(error.__cause__, APIError) else error.message
