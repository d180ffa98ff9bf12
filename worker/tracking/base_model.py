"""What a request's ``base_model`` may name in MLflow. Pure; worker/tracking/model_lookup.py looks whether it is there.

What is neither a run id nor a version or alias of a registered model is a word of the project's own, such as a file's
name, and left to it. mypackage brings the model's files.
"""

import re

from mypackage.protocol import REGISTERED_MODEL

RUN_ID = re.compile(r"^[0-9a-f]{32}$")


def at_version(address: str, version: str | None) -> str:
    """The same address, of this version."""
    asked = REGISTERED_MODEL.match(address)
    return f"models:/{asked['name']}/{version}" if asked and version else address
