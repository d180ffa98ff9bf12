"""Checks image names: the engine takes other text for paths of its own API, or fails as if it were not running."""

import re

from shared.errors import Code, UserError
from worker.runners.docker.failures import no_image

# The grammar of github.com/distribution/reference.
COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
DOMAIN_PART = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
DOMAIN = rf"(?:{DOMAIN_PART}(?:\.{DOMAIN_PART})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
REFERENCE = re.compile(rf"^(?:{DOMAIN}/)?{COMPONENT}(?:/{COMPONENT})*(?::{TAG})?(?:@{DIGEST})?")
MAX_CHARACTERS = 512
SHOWN_CHARACTERS = 100


def require_image(image: str | None) -> str:
    """Return the image's name; raise INVALID_PROJECT if there is none or it is not a valid one."""
    if image is None:
        raise no_image()
    if len(image) > MAX_CHARACTERS or not REFERENCE.fullmatch(image):
        raise UserError(
            Code.INVALID_PROJECT,
            f"{image[:SHOWN_CHARACTERS]!r} is not the name of an image. Write docker_env.image in MLproject as "
            "registry/name:tag, the name in lower case.",
            image=image[:SHOWN_CHARACTERS],
        )
    return image


def digest_reference(name: str, digest: str) -> str:
    """Return the reference to exactly one image of the name's repository."""
    repository = name.partition("@")[0]
    path, slash, last = repository.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}@{digest}"
