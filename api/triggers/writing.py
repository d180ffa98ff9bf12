"""Turns what people write of a trigger into its record: checked as a request is, with its credentials encrypted."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.access.authorisation import current_caller, require_own_team
from api.access.finding import check_models, list_seen_triggers
from api.http.errors import CredentialsNeeded, FieldError, InvalidRequest, TriggerOfFile
from api.permission import permitted_for
from api.services import Services
from api.submission import check_alert_channels, check_git_uri_is_allowed, check_queue, check_resources
from api.triggers.bodies import TriggerChange, TriggerRequest
from shared.access.callers import Maker
from shared.addresses.public_text import require_no_credentials
from shared.errors import ConfigurationError
from shared.jobs.triggers import Kind, NewTrigger, Trigger
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.vault import JobSecrets
from shared.triggers.chains import find_circle
from shared.triggers.fields import check_address
from shared.triggers.new_jobs import with_gpus
from shared.triggers.records import as_record

PARTS = ("template", "when", "policy")


@dataclass(frozen=True)
class Written:
    """A trigger that was written, and the secret that was made for its senders."""

    trigger: Trigger
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Draft:
    """A trigger as it is to be recorded, in clear."""

    new: NewTrigger
    credentials: JobSecrets = field(repr=False)
    secret: str | None = field(repr=False)


def create(wish: TriggerRequest, services: Services, *, source: str | None = None, team: str | None = None) -> Written:
    """Record the trigger as the caller's; raise InvalidRequest, or TriggerExists if its name is taken."""
    draft = draft_of(wish.name, wish, None, services, source=source, team=team)
    made = None if wish.secret else draft.secret
    return Written(services.store.create_trigger(_sealed(draft, services)), made)


def change(name: str, wish: TriggerChange, *, version: int | None, services: Services) -> Written:
    """Replace what the trigger does; credentials and secret that are not sent stay."""
    before = services.store.get_trigger(name)
    require_own_team(before, f"Trigger {name!r}")
    require_no_file(before, services)
    return rewrite(before, wish, version=version, services=services)


def rewrite(
    before: Trigger,
    wish: TriggerChange,
    *,
    version: int | None,
    services: Services,
    source: str | None = None,
    team: str | None = None,
) -> Written:
    """Replace it, whoever may change it; do nothing if it is the same."""
    draft = draft_of(before.name, wish, before, services, source=source, team=team)
    if version in (None, before.version) and not differences(before, draft, services):
        return Written(before)
    # The version that was read, where none was sent: the stored credentials belong to its addresses.
    against = before.version if version is None else version
    changed = services.store.change_trigger(before.name, _sealed(draft, services), version=against)
    return Written(changed, None if wish.secret else draft.secret)


def delete(name: str, services: Services) -> None:
    """Delete it; its jobs stay."""
    require_no_file(services.store.get_trigger(name), services)
    services.store.delete_trigger(name)


def require_no_file(trigger: Trigger, services: Services) -> None:
    """Raise TriggerOfFile for a trigger that a file of TRIGGERS_DIR would change back."""
    if trigger.source is not None and services.settings.triggers_dir is not None:
        raise TriggerOfFile(
            f"Trigger {trigger.name!r} is from the file {trigger.source} of the operator's TRIGGERS_DIR: change or "
            "delete that. It can be paused, resumed and fired here.",
            trigger=trigger.name,
        )


def draft_of(
    name: str,
    wish: TriggerChange,
    before: Trigger | None,
    services: Services,
    *,
    source: str | None,
    team: str | None = None,
) -> Draft:
    """Check what was written; return it with the credentials that it has from now on."""
    check_alert_channels(wish.template.alerts.to or (), services.settings, pointer="/template/alerts/to")
    check_resources(wish.template.resources, services.settings, below="/template")
    check_queue(wish.template.queue, services, below="/template")
    maker = _maker(before, team)
    permitted_for(maker, with_gpus(wish.template, services.settings.default_gpus), services, below="/template")
    check_git_uri_is_allowed(wish.template.git_uri, services.settings, below="/template")
    check_models(services.store, _models_in(wish))
    kind = wish.when.kind
    if problem := _problem_with_secret(wish, kind) or _problem_with_dataset(wish):
        raise InvalidRequest([problem])
    clean, sent = wish.template.without_credentials()
    new = NewTrigger(
        name=name,
        template=_template(clean),
        when=as_record(wish.when),
        policy=as_record(wish.policy),
        kind=kind,
        source=source,
        **vars(maker),
    )
    if problem := _problem_with_chain(new, services):
        raise InvalidRequest([problem])
    kept = JobSecrets() if before is None else _kept(before, clean, sent, services)
    credentials = JobSecrets(sent.source or kept.source, sent.dataset or kept.dataset)
    needs_secret = kind.is_sent and (before is None or not before.had_hook_secret)
    return Draft(new, credentials, wish.secret or (secrets.token_urlsafe(32) if needs_secret else None))


def _maker(before: Trigger | None, team: str | None) -> Maker:
    """Return whose it is from now on: who made it, with the roles of who wrote it last. A file may say a team."""
    writer = current_caller().as_maker
    if before is None or before.submitted_by is None or before.source is not None:
        return replace(writer, team=team or writer.team)
    return Maker(before.submitted_by, before.team, writer.roles)


def _models_in(wish: TriggerChange) -> Iterator[str | None]:
    template, when = wish.template, wish.when
    yield from (template.model_name, template.base_model)
    yield from (each.model for each in (when.registry, when.job, when.observations) if each is not None)


def differences(before: Trigger | None, draft: Draft, services: Services) -> dict[str, tuple[Any, Any]]:
    """Return what would change: each field with its value before and after. Of secrets, only that they change."""
    old, new = _all_leaves(before), _all_leaves(draft.new)
    found = {name: (old.get(name), new.get(name)) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}
    if before is None:
        return found
    if before.source != draft.new.source:
        found["/source"] = (before.source, draft.new.source)
    if before.team != draft.new.team:
        found["/team"] = (before.team, draft.new.team)
    if _stored(before, services) != draft.credentials:
        found["/template's credentials"] = ("…", "…")
    if draft.secret is not None and draft.secret != _secret_of(before, services):
        found["/secret"] = ("…", "…")
    return found


def _sealed(draft: Draft, services: Services) -> NewTrigger:
    vault = services.vault
    hook_secret = vault.seal_text(draft.secret) if draft.secret else None
    return replace(draft.new, secret=vault.seal(draft.credentials), hook_secret=hook_secret)


def _template(clean: RetrainRequest) -> dict[str, Any]:
    """Return the template's record; it keeps a wish for no GPUs, which the operator's default would replace."""
    record = clean.as_record()
    if "gpus" in clean.resources.model_fields_set:
        record["resources"] = {**record.get("resources", {}), "gpus": clean.resources.gpus}
    return record


def _stored(trigger: Trigger, services: Services) -> JobSecrets | None:
    """Return the template's credentials; None if they were encrypted under another key."""
    try:
        return services.vault.open(services.store.secret_of_trigger(trigger.name))
    except ConfigurationError:
        return None


def _kept(before: Trigger, clean: RetrainRequest, sent: JobSecrets, services: Services) -> JobSecrets:
    """Return the stored credentials of the addresses that stay."""
    stored = _stored(before, services)
    if stored is None:
        if sent:
            return JobSecrets()
        message = "has stored credentials, which were encrypted under another key: send the addresses with them again"
        raise CredentialsNeeded([FieldError("body", "/template", f"template {message}", CredentialsNeeded.code)])
    return JobSecrets(
        stored.source if before.template.get("git_uri") == clean.git_uri else None,
        stored.dataset if clean.dataset_repo and before.template.get("dataset_repo") == clean.dataset_repo else None,
    )


def _secret_of(trigger: Trigger, services: Services) -> str | None:
    sealed = (sealed for each, sealed in services.store.hook_secrets(trigger.kind) if each.name == trigger.name)
    try:
        return next((services.vault.open_text(each) for each in sealed), None)
    except ConfigurationError:  # under another key: whatever is sent replaces it
        return None


def _problem_with_secret(wish: TriggerChange, kind: Kind) -> FieldError | None:
    if wish.secret is None or kind.is_sent:
        return None
    kinds = ", ".join(each for each in Kind if each.is_sent)
    return FieldError("body", "/secret", f"secret is for what is sent ({kinds}); nothing is sent to {kind}", "NOT_USED")


def _problem_with_dataset(wish: TriggerChange) -> FieldError | None:
    place = "/when/dataset/address"
    if wish.when.dataset is None:
        return None
    address = wish.when.dataset.address
    if address is None:
        return _problem_with_own_dataset(wish, place)
    try:
        check_address(require_no_credentials(address))
    except ValueError as error:
        hint = "; leave it out to look at the template's dataset_repo with its credentials"
        return FieldError("body", place, f"when.dataset.address {error}{hint}", "VALUE_ERROR")
    return None


def _problem_with_own_dataset(wish: TriggerChange, place: str) -> FieldError | None:
    own, needed = wish.template.dataset_repo, "when.dataset.address is needed: the template"
    if not own:
        return FieldError("body", place, f"{needed} has no dataset_repo that could be looked at", "MISSING")
    try:
        check_address(wish.template.without_credentials()[0].dataset_repo or "")
    except ValueError as error:
        return FieldError("body", place, f"{needed}'s dataset_repo {error}", "MISSING")
    return None


def _problem_with_chain(new: NewTrigger, services: Services) -> FieldError | None:
    follows = new.kind in (Kind.JOB, Kind.REGISTRY)
    circle = find_circle(new, list_seen_triggers(services.store)) if follows else None
    if circle is None:
        return None
    message = f"when.{new.kind} closes a circle of triggers that start each other for ever: {' → '.join(circle)}"
    return FieldError("body", f"/when/{new.kind}", message, "CIRCLE")


def _all_leaves(trigger: Trigger | NewTrigger | None) -> dict[str, Any]:
    """Return the values of all fields that a trigger sets, by their place in it."""
    if trigger is None:
        return {}
    return {name: each for part in PARTS for name, each in _leaves(getattr(trigger, part), f"/{part}")}


def _leaves(value: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _leaves(each, f"{before}/{name}")
        else:
            yield f"{before}/{name}", each
