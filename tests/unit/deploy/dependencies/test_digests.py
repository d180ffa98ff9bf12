"""`make digests` pins the images of others to what is on this machine."""

from deploy.dependencies.digests import COMPOSE, images, pinned

OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


def test_every_image_of_others_can_be_replaced() -> None:
    compose = COMPOSE.read_text()
    named = images(compose)
    theirs = {line.partition("image:")[2].strip() for line in compose.splitlines() if line.strip().startswith("image:")}
    assert all(each.startswith("${") for each in theirs)
    assert {"PYTHON_IMAGE", "REDIS_IMAGE", "POSTGRES_IMAGE", "AZURITE_IMAGE"} <= set(named)
    assert all(":" in image for image in named.values())


def test_a_tag_gets_the_digest_of_its_own_repository() -> None:
    digests = [f"mirror.example.com/redis@{OLD}", f"redis@{NEW}"]
    assert pinned("redis:7-bookworm", digests) == f"redis:7-bookworm@{NEW}"
    assert pinned("mirror.example.com/redis:7", digests) == f"mirror.example.com/redis:7@{OLD}"


def test_an_image_that_was_built_here_has_none() -> None:
    assert pinned("redis:7-bookworm", []) is None
