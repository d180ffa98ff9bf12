"""Compares images with patterns, both by their full names: python is docker.io/library/python. Pure."""

from collections.abc import Iterable

from shared.triggers.patterns import matches

DOCKER_HUB = "docker.io"
ITS_OWN = "library"
OTHER_NAMES = ("index.docker.io", "registry-1.docker.io")


def allows_image(patterns: Iterable[str], image: str) -> bool:
    """Return whether a pattern fits the image; one without tag and digest fits all of them.

    By their full names, because python* would otherwise fit python.example.com/anything, another's registry.
    """
    name = full_name(image)
    return any(pattern == "*" or _fits(full_name(pattern), name) for pattern in patterns)


def full_name(image: str) -> str:
    """Return the name with its registry, as Docker reads it."""
    host, slash, rest = image.partition("/")
    if not slash or not (set(host) & set(".:") or host in ("localhost", "*") or host != host.lower()):
        return f"{DOCKER_HUB}/{image}" if slash else f"{DOCKER_HUB}/{ITS_OWN}/{image}"
    if host in (DOCKER_HUB, *OTHER_NAMES):
        return f"{DOCKER_HUB}/{rest}" if "/" in rest else f"{DOCKER_HUB}/{ITS_OWN}/{rest}"
    return image


def _fits(pattern: str, name: str) -> bool:
    is_whole = "@" in pattern or ":" in pattern.rpartition("/")[2]
    forms = (pattern,) if is_whole else (pattern, f"{pattern}:*", f"{pattern}@*")
    return any(matches(each, name) for each in forms)
