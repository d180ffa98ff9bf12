"""The fixtures that integration tests share: pytest finds here what tests/support defines."""

from tests.support.servers.azurite import azurite
from tests.support.servers.mlflow_server import mlflow_url
from tests.support.servers.postgres import postgres_server
from tests.support.stores import (
    empty_url,
    make_store,
    postgresql_url,
    sql_store,
    sql_url,
    sqlite_template,
    sqlite_url,
    store,
)

__all__ = [
    "azurite",
    "empty_url",
    "make_store",
    "mlflow_url",
    "postgres_server",
    "postgresql_url",
    "sql_store",
    "sql_url",
    "sqlite_template",
    "sqlite_url",
    "store",
]
