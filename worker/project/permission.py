"""Says whether a project may be trained for the caller of its job: by IMAGE_ALLOWLIST and POLICY_FILE. Pure."""

from shared.errors import Code, UserError
from shared.policy.asked import not_permitted
from shared.policy.image_patterns import allows_image
from shared.policy.rules import Rules
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings
from worker.project.entry_points import Project

DOCKERS_OWN = "bridge"  # where CONTAINER_NETWORK is empty


def check_request(request: RetrainRequest, rules: Rules) -> None:
    """Raise UserError for what the request asks for: a trigger may be older than the rules."""
    if wrong := not_permitted(request, rules):
        raise refused(". ".join(each.message for each in wrong), what=wrong[0].pointer)


def check_image(project: Project, rules: Rules, settings: Settings) -> None:
    """Raise UserError for an image, or a network, that the job's sender may not train in."""
    _check_network(settings.container_network, rules)
    image, allowlist = project.image, settings.image_allowlist
    if image is None:
        return
    if allowlist and not allows_image(allowlist, image):
        names = ", ".join(sorted(allowlist))
        raise refused(f"Project '{project.name}' names the image {image}; IMAGE_ALLOWLIST allows {names}", what=image)
    if not rules.allows("images", image):
        allowed = ", ".join(rules.table.images) or "none"
        message = f"Project '{project.name}' names the image {image}, and its sender may use {allowed}"
        raise refused(f"{message} ({rules.why('images')})", what=image)


def _check_network(network: str, rules: Rules) -> None:
    name = network or DOCKERS_OWN
    if not rules.allows("networks", name):
        message = f"This host trains in the network {name}, which is not for the sender ({rules.why('networks')})"
        raise refused(message, what=name)


def refused(message: str, *, what: str) -> UserError:
    """Return the refusal."""
    return UserError(Code.NOT_PERMITTED, f"{message}.", what=what)
