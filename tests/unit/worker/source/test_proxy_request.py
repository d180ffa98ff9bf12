"""What the door understands of what git and git-lfs ask of a proxy."""

import pytest

from worker.source.way_out.proxy_request import ProxyRequest


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [("git.example:443", "git.example", 443), ("[::1]:8443", "::1", 8443), ("git.example", "git.example", 443)],
)
def test_a_tunnel_is_asked_for_by_host_and_port(target: str, host: str, port: int) -> None:
    request = ProxyRequest.parse(f"CONNECT {target} HTTP/1.1\r\nproxy-authorization:  Basic eA== ".encode())
    assert request == ProxyRequest(host, port, "Basic eA==", is_tunnel=True)


def test_a_plain_request_goes_on_without_what_is_the_proxys_and_once_a_connection() -> None:
    head = (
        b"GET http://git.example:8080/a.git/info/refs?service=x HTTP/1.1\r\nHost: git.example:8080\r\n"
        b"Proxy-Authorization: Basic eA==\r\nAuthorization: Basic eQ==\r\nProxy-Connection: Keep-Alive\r\nConnection: k"
    )
    request = ProxyRequest.parse(head)
    assert (request.host, request.port, request.is_tunnel) == ("git.example", 8080, False)
    assert request.head == (
        b"GET /a.git/info/refs?service=x HTTP/1.1\r\nHost: git.example:8080\r\nAuthorization: Basic eQ==\r\n"
        b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1",
        b"GET ftp://host/ HTTP/1.1",
        b"CONNECT :443 HTTP/1.1",
        b"CONNECT host:99999 HTTP/1.1",
        b"GET http://h/",
        b"CONNECT [::1 HTTP/1.1",
        b"CONNECT h:1 HTTP/1.1\r\nno field",
    ],
)
def test_what_is_no_request_of_a_proxy_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever says so
        ProxyRequest.parse(head)
