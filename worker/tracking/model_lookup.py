"""Checks that the model to start from is in MLflow, before a container is created in vain."""

from collections.abc import Iterable
from difflib import get_close_matches

from mypackage.protocol import REGISTERED_MODEL
from shared.errors import Code, UserError
from worker.tracking.base_model import RUN_ID
from worker.tracking.clients import Client
from worker.tracking.connection import Refused
from worker.tracking.records import ModelVersion

NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second: no such alias
SHOWN, COMPARED = 5, 1000  # names in an error


def find_version(client: Client, address: str) -> str | None:
    """Return the version of a registered model; None if the address names none. Raises UserError if it does not exist.

    Whether a run has logged a model is not checked: projects use other files of a run, too.
    """
    if asked := REGISTERED_MODEL.match(address):
        return str(_find_registered(client, asked["name"], asked["version"], asked["alias"]).version)
    if RUN_ID.match(address):
        _require_run(client, address)
    return None


def _find_registered(client: Client, name: str, version: str | None, alias: str | None) -> ModelVersion:
    try:
        if version:
            return client.get_model_version(name, version)
        return client.get_model_version_by_alias(name, alias or "")
    except Refused as error:
        if error.error_code not in NOT_THERE:
            raise
        missing = f"version {version}" if version else f"alias '{alias}'"
        raise _not_there(_what_is_there(client, name, missing), model=name, version=version, alias=alias) from error


def _what_is_there(client: Client, name: str, missing: str) -> str:
    try:
        model = client.get_registered_model(name)
    except Refused as error:
        if error.error_code not in NOT_THERE:
            raise
        return f"there is no model '{name}' (there is: {_models(client, like=name)})"
    quote = '"' if "'" in name else "'"
    newest = client.search_model_versions(
        f"name={quote}{name}{quote}", max_results=SHOWN + 1, order_by=["version_number DESC"]
    )
    versions, aliases = _listed(str(each.version) for each in newest), _listed(sorted(model.aliases))
    return f"model '{name}' has no {missing} (it has: versions {versions}; aliases {aliases})"


def _require_run(client: Client, run_id: str) -> None:
    try:
        client.get_run(run_id)
    except Refused as error:
        if error.error_code not in NOT_THERE:
            raise
        there = _models(client, like=run_id)
        raise _not_there(f"there is no run '{run_id}' (registered models: {there})", run_id=run_id) from error


def _not_there(what: str, **facts: object) -> UserError:
    return UserError(Code.INVALID_PARAMETER, f"base_model: {what}. Correct it in the request.", **facts)


def _models(client: Client, *, like: str) -> str:
    names = [model.name for model in client.search_registered_models(max_results=COMPARED)]
    return _listed(get_close_matches(like, names, SHOWN) or names)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join([*every[:SHOWN], *(["…"] if len(every) > SHOWN else [])]) or "none"
