"""Print lines for deploy/.env that pin the images of others to the digests of those that are on this machine.

A tag may be moved to another image; a digest is one image for ever. Pull the tags, try them, then pin what you tried.
Needs nothing but Python and Docker.
"""

import re
import subprocess
import sys
from pathlib import Path

COMPOSE = Path(__file__).resolve().parents[1] / "docker-compose.yml"
NAMED = re.compile(r"\$\{([A-Z]+_IMAGE):-([^}]+/[^}]+|[^}]+:[^}]+)\}")
INSPECT = ("docker", "image", "inspect", "--format", "{{range .RepoDigests}}{{println .}}{{end}}")


def images(compose: str) -> dict[str, str]:
    """Return the images of others, by the variable that replaces each."""
    return dict(NAMED.findall(compose))


def pinned(image: str, digests: list[str]) -> str | None:
    """Return the tag with the digest of its own repository, or None if the image was not pulled from one."""
    repository = image.rpartition(":")[0]
    digest = next((each.partition("@")[2] for each in digests if each.partition("@")[0] == repository), None)
    return f"{image}@{digest}" if digest else None


def main() -> int:
    """Print a line for each image that is here and was pulled."""
    missing = []
    for variable, image in sorted(images(COMPOSE.read_text()).items()):
        found = subprocess.run((*INSPECT, image), capture_output=True, text=True, check=False)
        if line := pinned(image, found.stdout.split()):
            print(f"{variable}={line}")
        else:
            missing.append(image)
    for image in missing:
        sys.stderr.write(f"{image}: not here, or not pulled from a registry. If you use it: docker pull {image}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
