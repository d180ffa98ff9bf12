"""Parses the address of a database: the kinds that we take, with the driver that we ship; what is wrong with others."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import ConfigurationError

EXAMPLE = "postgresql://user:password@host:5432/db"
HOW_TO_WRITE = "In a user or password, write @ as %40, / as %2F and : as %3A."


def parse_database_url(url: str, variable: str = "DATABASE_URL") -> URL:
    """Return the address with our driver; raise ConfigurationError, which repeats nothing secret, if it is not one."""
    scheme, separator, rest = url.partition("://")
    try:
        address = make_url(f"{scheme.lower()}{separator}{rest}")
    except (SQLAlchemyError, ValueError):  # ValueError: of a port that is no number; it repeats half a password
        wrong = f"{variable} is not the address of a database, such as {EXAMPLE} or sqlite:////srv/jobs.db."
        raise ConfigurationError(f"{wrong} {HOW_TO_WRITE}") from None
    if "@" in (address.host or ""):  # half of a password, which errors about this host would repeat
        raise ConfigurationError(f"{variable} has an @ in its host. {HOW_TO_WRITE}")
    match address.get_backend_name():
        case "sqlite":
            return _file(address, variable)
        case "postgresql" | "postgres":
            return _server(address, variable)
        case other:
            raise ConfigurationError(f"{variable} names {other}; use {EXAMPLE} or sqlite:////srv/jobs.db.")


def _file(address: URL, variable: str) -> URL:
    if address.database in (None, "", ":memory:"):
        raise ConfigurationError(f"{variable} names a database in memory, which keeps nothing; use sqlite:///path")
    return address.set(drivername="sqlite")


def _server(address: URL, variable: str) -> URL:
    # 9 MB that SQLite does not need.
    from psycopg import ProgrammingError  # noqa: PLC0415
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415

    try:
        make_conninfo(**dict.fromkeys(address.query, ""))
    except ProgrammingError:
        names = ", ".join(sorted(address.query))
        wrong = f"{variable} has an option that PostgreSQL's client does not know (it has: {names})"
        raise ConfigurationError(f"{wrong}. The one for TLS is sslmode.") from None
    return address.set(drivername="postgresql+psycopg")
