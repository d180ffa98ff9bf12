"""Parses what a request's ``base_model`` names in MLflow. Pure; model_lookup.py checks whether it exists.

Anything other than a run id or a version or alias of a registered model is the project's own, such as a file's
name, and passed on unchanged. mypackage downloads the model's files.
"""

import re

from mypackage.protocol import REGISTERED_MODEL

RUN_ID = re.compile(r"^[0-9a-f]{32}$")


def at_version(address: str, version: str | None) -> str:
    """Return the address with this version in it."""
    asked = REGISTERED_MODEL.match(address)
    return f"models:/{asked['name']}/{version}" if asked and version else address
