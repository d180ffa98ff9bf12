"""Which headers of a training's request MLflow gets."""

from deploy.mlflow_guard.layer import Scope

# All headers that MLflow uses, except those for proxies only (X-Forwarded-*), the choice of another workspace, and the
# authorization: an attempt's token is for the guard alone.
PASSED_ON = frozenset(
    {
        *(b"accept", b"accept-encoding", b"content-encoding", b"content-length", b"content-type"),
        *(b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"range", b"user-agent"),
        *(b"x-mlflow-experiment-id", b"x-mlflow-run-id"),
    }
)


def passed_on(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return these headers of the request."""
    return [(name.lower(), value) for name, value in scope["headers"] if name.lower() in PASSED_ON]
