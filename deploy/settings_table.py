"""Write the tables of settings: docs/reference, and deploy/.env.example (`--check` only compares)."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from shared.alerts.kinds import OURS, kinds
from shared.secrets.files import is_secret
from shared.settings import Settings

PAGE = Path(__file__).resolve().parent.parent / "docs/reference/settings.md"
CHANNELS = PAGE.parent / "alert-channels"
EXAMPLE = Path(__file__).resolve().parent / ".env.example"
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"
EXAMPLE_BEGIN, EXAMPLE_END = "# --- settings of the service", "# --- end of the settings"
# What docker-compose.yml itself says to its services, or has in its own part of the example.
COMPOSED = frozenset(
    {
        *(
            "alert_secrets_folder",
            "api_host",
            "api_port",
            "artifacts_destination",
            "container_host_address",
            "container_network",
            "credentials_file",
            "data_dir",
            "flower_host",
            "flower_url",
            "redis_port",
            "triggers_dir",
        ),
        *("mlflow_allowed_hosts", "mlflow_server_host", "mlflow_tracking_uri", "secret_key_file", "worker_host"),
        *("tracking_guard_uri", "training_firewall_file", "worker_metrics_host", "worker_metrics_port"),
    }
)


def table(fields: Mapping[str, FieldInfo]) -> str:
    """Return the table in Markdown: variable, default, meaning."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    for name, field in fields.items():
        rows.append(f"| `{name.upper()}` | {_default(field)} | {field.description} |")
    return "\n".join(rows)


def channel_tables() -> dict[Path, str]:
    """Return the tables of our alert channels, each for its own page, so that a new one touches no other."""
    return {CHANNELS / f"{name}.md": table(kinds()[name].model_fields) for name in OURS}


def example() -> str:
    """Return the settings for the compose stack's .env, each with its default; secrets are files."""
    lines = []
    for name, field in Settings.model_fields.items():
        if name not in COMPOSED and not is_secret(field):
            lines += [f"# {field.description}", f"#{name.upper()}={_text(field.default)}"]
    return "\n".join(lines)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "this machine's name"
    text = _text(field.default)
    return f"`{text}`" if text else ""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()  # a default is nobody's secret
    if isinstance(value, frozenset | tuple):
        return ",".join(sorted(map(str, value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Write both files, or compare."""
    wanted = {
        PAGE: _with_part(PAGE, BEGIN, END, table(Settings.model_fields)),
        EXAMPLE: _with_part(EXAMPLE, EXAMPLE_BEGIN, EXAMPLE_END, example()),
        **{page: _with_part(page, BEGIN, END, text) for page, text in channel_tables().items()},
    }
    for path, text in wanted.items():
        if "--check" not in sys.argv[1:]:
            path.write_text(text)
        elif text != path.read_text():
            sys.stderr.write(f"{path.name}: the settings are out of date. Run: make settings\n")
            return 1
    return 0


def _with_part(path: Path, begin: str, end: str, part: str) -> str:
    """Return the file with this text between the two marks."""
    head, _, rest = path.read_text().partition(f"{begin}\n")
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{part}\n{end}{tail}"


if __name__ == "__main__":
    sys.exit(main())
