"""Keeps the name by which this host knows its containers: it is made from SECRET_KEY, which may be rotated."""

import hashlib
import json
import logging
from contextlib import suppress
from pathlib import Path

from shared.settings import Settings

logger = logging.getLogger(__name__)


def service_name(settings: Settings) -> str:
    """Return the service's id for this job store, as it was when this host first had containers of it."""
    file = settings.data_dir / f"service-{settings.worker_host}.json"
    known, store = _read(file), hashlib.sha256(settings.store_place.encode()).hexdigest()
    if store not in known:
        known[store] = settings.service_id
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new")
            new.write_text(json.dumps(known))
            new.replace(file)
        except OSError as error:  # the name is right until the key is another one
            logger.warning("the service's name is not kept", extra={"cause": str(error)})
    return known[store]


def _read(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text())
        if isinstance(found, dict):
            return {str(store): str(name) for store, name in found.items()}
    return {}
