"""A real PostgreSQL in a container: one server for the test session, a fresh database for each test."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
import pytest
from docker.errors import APIError
from docker.models.containers import Container
from psycopg import sql

from shared.sql.engine import Database
from shared.sql.schema import upgrade
from tests.support.engines import docker_or_skip, require
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

IMAGE = "postgres:15-bookworm"
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
MIGRATED = "migrated"
ROLE = "retrain"  # owns the tests' databases, and is no superuser, as the services' role is to be


@dataclass(frozen=True)
class PostgresServer:
    """A running server; its port stays the same when it is stopped and started."""

    container: Container
    port: int
    password: str

    def url(self, database: str) -> str:
        """The database's SQLAlchemy URL."""
        return f"postgresql+psycopg://{ROLE}:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, migrated: bool = True) -> str:
        """Make a database and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        template = MIGRATED if migrated else "template1"
        self._run("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, template, ROLE)
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self._run("DROP DATABASE {} WITH (FORCE)", name)

    def stop(self) -> None:
        """Stop the server; what was committed stays."""
        self.container.stop(timeout=20)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.container.start()
        wait_until(self.answers, timeout_seconds=60, what="PostgreSQL's first answer")

    def answers(self) -> bool:
        """Whether it takes a connection."""
        try:
            self._run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def end_connection(self, pid: int) -> None:
        """Break one client's connection."""
        with self._connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    def make_role_and_template(self) -> None:
        """Make the tests' role, and the database that tests' databases are copies of."""
        with self._connect() as connection:
            make_role = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(make_role.format(sql.Identifier(ROLE), sql.Literal(self.password)))
        self._run("CREATE DATABASE {} OWNER {}", MIGRATED, ROLE)
        database = Database(self.url(MIGRATED))
        upgrade(database)
        database.close()

    def _run(self, statement: LiteralString, *names: str) -> None:
        with self._connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )


@contextmanager
def serving(*options: str) -> Iterator[PostgresServer]:
    """A server with these options, and the template of its databases; it is removed at the end, with its data."""
    client = docker_or_skip()
    try:
        password, port = secrets.token_hex(16), free_port()
        try:
            container = client.containers.run(
                IMAGE,
                ["postgres", *options],
                detach=True,
                environment={"POSTGRES_PASSWORD": password},
                ports={"5432/tcp": ("127.0.0.1", port)},
            )
        except APIError as error:
            require(False, f"the image {IMAGE} ({error.explanation})")
            raise
        try:
            server = PostgresServer(container, port, password)
            wait_until(server.answers, timeout_seconds=60, every_seconds=0.2, what="PostgreSQL's first answer")
            server.make_role_and_template()
            yield server
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for the session."""
    with serving(*FAST) as server:
        yield server
