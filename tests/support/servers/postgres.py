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
DATA = "/var/lib/postgresql/data"
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

    def takes_password(self) -> bool:
        """Have a server whose data was kept take the password of this one; whether it did."""
        change = f"ALTER ROLE postgres PASSWORD '{self.password}'"
        done = self.container.exec_run(["psql", "--username", "postgres", "--command", change])
        return done.exit_code == 0

    def make_role(self) -> None:
        """Make the role that owns the databases; one that was kept gets this server's password."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            change = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(change.format(sql.Identifier(ROLE), sql.Literal(self.password)))

    def make_role_and_template(self) -> None:
        """Make the tests' role, and the database that tests' databases are copies of."""
        self.make_role()
        self._run("CREATE DATABASE {} OWNER {}", MIGRATED, ROLE)
        database = Database(self.url(MIGRATED))
        upgrade(database)
        database.close()

    def has_database(self, name: str) -> bool:
        """Whether there is one of this name."""
        with self._connect() as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def rename_database(self, name: str, to: str) -> None:
        """Give a database that nobody is connected to another name."""
        self._run("ALTER DATABASE {} RENAME TO {}", name, to)

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
def serving(*options: str, volume: str | None = None) -> Iterator[PostgresServer]:
    """A server with these options, and the template of its databases; it is removed at the end, with its data.

    With the name of a volume its data is kept there, for the next server; such a one has no template.
    """
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
                volumes={volume: {"bind": DATA, "mode": "rw"}} if volume else {},
            )
        except APIError as error:
            require(False, f"the image {IMAGE} ({error.explanation})")
            raise
        try:
            server = PostgresServer(container, port, password)
            if volume:
                wait_until(
                    server.takes_password, timeout_seconds=60, every_seconds=0.2, what="PostgreSQL's first answer"
                )
            wait_until(server.answers, timeout_seconds=60, every_seconds=0.2, what="PostgreSQL's first answer")
            if volume:
                server.make_role()
            else:
                server.make_role_and_template()
            yield server
            if volume:
                server.stop()
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for the session."""
    with serving(*FAST) as server:
        yield server
