"""Whom the API's own server believes, by bytes as a hostile client sends them; and who may start it."""

import re
import socket
from collections.abc import Iterator

import pytest

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, hint_of, new_token
from shared.sql import SqlStore, schema
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

HEADER = "X-Auth-Request-Email"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    sign_on = {"AUTH_HEADER": HEADER, "API_TRUSTED_PROXIES": "127.0.0.1", "AUTH_ROLES": "*=operator"}
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path_factory.mktemp("api"), REDIS_URL=redis, API_TOKENS="t", **sign_on) as server:
        yield server


def ask(api: ApiServer, *headers: str, source: str = "127.0.0.1") -> tuple[int, str]:
    """The status and the body of GET /whoami, asked from this address."""
    lines = ["GET /whoami HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", api.port), 20, source_address=(source, 0)) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2].decode()


def test_only_the_proxys_own_connection_names_somebody(api: ApiServer) -> None:
    status, said = ask(api, f"{HEADER}: ann@example.com", "X-Forwarded-For: 203.0.113.9")
    assert (status, re.findall('sso:[^"]*', said)) == (200, ["sso:ann@example.com"])
    for more in ("X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-Ip: 127.0.0.1"):
        assert ask(api, f"{HEADER}: ann@example.com", more, source="127.0.0.2")[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        (f"{HEADER.replace('-', '_')}: root@example.com",),
        ("X-Auth_Request-Email: root@example.com",),
        (f"{HEADER}: ann@example.com", f"{HEADER}: root@example.com"),
        (f"{HEADER}: ann@example.com\r\n root@example.com",),
        (f"{HEADER} : root@example.com",),
        (f"{HEADER}: ",),
    ],
    ids=["underscores", "one underscore", "twice", "folded", "space", "empty"],
)
def test_no_other_spelling_names_somebody(api: ApiServer, headers: tuple[str, ...]) -> None:
    """A proxy sets or removes the header as it is spelt; what a client smuggles beside it must not count."""
    status, said = ask(api, *headers)
    assert (status in {400, 401}, "sso:" in said) == (True, False)


def test_a_spelling_with_underscores_beside_the_proxys_own_changes_nothing(api: ApiServer) -> None:
    status, said = ask(api, "X_Auth_Request_Email: root@example.com", f"{HEADER}: ann@example.com")
    assert (status, "root" in said) == (200, False)


def test_a_public_address_starts_with_an_administrators_token_in_the_store(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, token = tmp_path_factory.mktemp("public"), new_token()
    given = {"API_HOST": "0.0.0.0", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    schema.upgrade(store)
    refused = ApiServer(folder, given)
    assert refused.launch().wait(60) == 1
    assert "there is no token of an administrator" in refused.log
    roles = frozenset({Role.ADMIN})
    new = NewToken(name="boss", hash=hash_of(token), hint=hint_of(token), roles=roles, created_by="local")
    store.create_token(new)
    store.close()
    with running_api(folder, **given) as server:
        assert ask(server)[0] == 401
        assert ask(server, f"Authorization: Bearer {token}")[0] == 200
