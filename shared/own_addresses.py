"""Names and addresses by which this machine is known to itself and to its containers."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HOST_FROM_CONTAINER = "host.docker.internal"  # this machine's name in containers
