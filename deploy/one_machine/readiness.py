"""Where people find the services of a stack, and whether they answer yet."""

import time
from collections.abc import Mapping

import requests

from deploy.one_machine.plan import Stack
from shared.own_addresses import reachable_at

PATIENCE_SECONDS = 20


def addresses(stack: Stack) -> dict[str, str]:
    """Where people find what."""
    settings = stack.settings
    return {
        "api": f"http://{reachable_at(settings.api_host)}:{settings.api_port}",
        "mlflow": settings.mlflow_tracking_uri,
        "flower": settings.flower_url,
        "runner": settings.runner,
    }


def announce_when_ready(stack: Stack) -> None:
    urls, patience = addresses(stack), time.monotonic() + PATIENCE_SECONDS
    while absent := missing(urls):
        if time.monotonic() > patience:
            patience += PATIENCE_SECONDS
            print(f"\nStill waiting for {' and '.join(absent)}; its lines above may say why.\n", flush=True)
        time.sleep(0.3)
    print(
        f"\nReady. {stack.announcement}\n"
        f"  Pages   {stack.settings.api_public_url or urls['api']}/ui/\n"
        f"  API     {urls['api']}/docs\n"
        f"  MLflow  {stack.settings.mlflow_public_url or urls['mlflow']}\n"
        f"  Flower  {urls['flower']} ({_flower_login(stack)})\n"
        f"  Metrics {' and '.join(_metrics_addresses(stack))}\n"
        f"  Data    {stack.settings.data_dir}\n"
        "Ctrl-C stops it; the data stays, and training that runs goes on.\n",
        flush=True,
    )


def _metrics_addresses(stack: Stack) -> list[str]:
    settings = stack.settings
    host = reachable_at(settings.worker_metrics_host)
    worker = f"http://{host}:{settings.worker_metrics_port}/metrics (of the worker)"
    return [f"{addresses(stack)['api']}/metrics", *([worker] if settings.worker_metrics_port else [])]


def _flower_login(stack: Stack) -> str:
    kept = stack.settings.data_dir / "flower-password"
    is_ours = kept.exists() and stack.settings.flower_basic_auth.get_secret_value() == f"admin:{kept.read_text()}"
    return f"user admin, password in {kept}" if is_ours else "user and password as in FLOWER_BASIC_AUTH"


def missing(urls: Mapping[str, str]) -> list[str]:
    """Return what does not answer yet: the API with its store and Redis, a worker, or MLflow."""
    absent = [] if _answers(f"{urls['mlflow']}/health") else [f"MLflow at {urls['mlflow']}"]
    ready = _answers(f"{urls['api']}/readyz")
    if ready is None:
        return [f"the API at {urls['api']}", *absent]
    return absent if ready.json()["live_workers"] > 0 else ["a worker", *absent]


def _answers(url: str) -> requests.Response | None:
    try:
        answer = requests.get(url, timeout=5)
    except requests.RequestException:
        return None
    return answer if answer.ok else None
