"""Where people find the services of a stack, as it tells them once it is ready."""

from deploy.one_machine.plan import Stack
from shared.own_addresses import reachable_at


def addresses(stack: Stack) -> dict[str, str]:
    """Return where people find what."""
    settings = stack.settings
    return {
        "api": f"http://{reachable_at(settings.api_host)}:{settings.api_port}",
        "mlflow": settings.mlflow_tracking_uri,
        "flower": settings.flower_url,
        "runner": settings.runner,
    }


def welcome(stack: Stack) -> str:
    """Return what is printed when all answers."""
    urls = addresses(stack)
    return (
        f"\nReady. {stack.announcement}\n"
        f"  Pages   {stack.settings.api_public_url or urls['api']}/ui/\n"
        f"  API     {urls['api']}/docs\n"
        f"  MLflow  {stack.settings.mlflow_public_url or urls['mlflow']}\n"
        f"  Flower  {urls['flower']} ({_flower_login(stack)})\n"
        f"  Metrics {' and '.join(_metrics_addresses(stack))}\n"
        f"  Data    {stack.settings.data_dir}\n"
        "Ctrl-C stops it; the data stays, and training that runs goes on.\n"
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
