"""The subcommands about models: who is champion, who was, why, and whether a waiting version may become it."""

from collections.abc import Sequence
from typing import Any

import click

from ..client import Client
from ..plain_text import plain_line
from .show import is_for_people, json_option, show_facts, show_json, show_lines, show_table

model_argument = click.argument("model")
promotion_argument = click.argument("promotion_id", metavar="ID")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the registered models, with their champions, and those of these that are on probation.

    The subcommands show a version, and say which team a model belongs to.

    \b
    Examples:
      retrain models
      retrain models show iris-classifier 3
      retrain models assign iris-classifier --team vision
    """
    if ctx.invoked_subcommand is not None:
        return
    found = ctx.ensure_object(Client).models()
    if as_json:
        show_json(found)
        return
    rows = [(each["name"], each["champion"] or "", _aliases(each), _probation(each)) for each in found]
    _show(("model", "champion", "aliases", "probation"), rows, empty="No models are registered yet.")


@models.command()
@model_argument
@click.option("--team", metavar="NAME", help="The team that it belongs to from now on.")
@click.option("--no-team", is_flag=True, help="It belongs to no team.")
@json_option
@click.pass_obj
def assign(client: Client, /, *, model: str, team: str | None, no_team: bool, as_json: bool) -> None:
    """Say which team a model belongs to; for administrators.

    A model belongs to the team whose job names it first. One of a job without a team, or from before there were teams,
    belongs to none: where teams are isolated, no team's job may name it until it is assigned.

    \b
    Examples:
      retrain models assign iris-classifier --team vision
      retrain models assign iris-classifier --no-team
    """
    if (team is None) != no_team:
        raise click.UsageError("say either --team NAME or --no-team")
    answer = client.assign_model(model, team)
    if as_json:
        show_json(answer)
        return
    whose = f"team {answer['team']}" if answer["team"] else "no team"
    click.echo(plain_line(f"Model {answer['model']} belongs to {whose}."))


@models.command()
@model_argument
@click.argument("version", type=click.IntRange(min=1))
@json_option
@click.pass_obj
def show(client: Client, /, *, model: str, version: int, as_json: bool) -> None:
    """Show what made a version of a model, and how good it is.

    \b
    Examples:
      retrain models show iris-classifier 3
      retrain models show iris-classifier 3 --json
    """
    found = client.model_version(model, version)
    if as_json:
        show_json(found)
        return
    rows = [(name, plain_line(str(value))) for name, value in _facts(found).items() if value not in (None, "")]
    if is_for_people():
        show_facts(rows)
    else:
        show_lines(rows)


def _facts(version: dict[str, Any]) -> dict[str, Any]:
    data = version["dataset"] or {}
    return {
        "version": version["version"],
        "aliases": ", ".join(version["aliases"]),
        "decision": (version["state"] or "").replace("_", " "),
        "job": version["job_id"],
        "code": version["git_uri"],
        "commit": version["commit_sha"],
        "data": data.get("repo"),
        "revision": data.get("rev"),
        "digest": data.get("digest"),
        "run": version["mlflow"] or version["run_id"],
        **{f"metric {name}": value for name, value in version["metrics"].items()},
        **{f"parameter {name}": value for name, value in version["params"].items()},
    }


@click.command()
@model_argument
@click.option("--alias", metavar="NAME", help="Only what is about this alias.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="The most events.")
@json_option
@click.pass_obj
def history(client: Client, /, *, model: str, alias: str | None, limit: int, as_json: bool) -> None:
    """Tell what was decided about a model's versions, and every move of an alias, the newest first.

    \b
    Examples:
      retrain history iris-classifier
    """
    events = client.history(model, alias=alias, limit=limit)
    if as_json:
        show_json(events)
        return
    rows = [(each["at"][:19], each["event"], each["version"] or "", each["actor"], each["reason"]) for each in events]
    _show(("at", "event", "version", "by", "reason"), rows, empty=f"Nothing is known of a model '{model}'.")


@click.command()
@model_argument
@click.option("--at", metavar="TIME", help="When, such as 2026-11-01T00:00:00Z; by default now.")
@click.option("--alias", metavar="NAME", help="By default champion.")
@json_option
@click.pass_obj
def champion(client: Client, /, *, model: str, at: str | None, alias: str | None, as_json: bool) -> None:
    """Tell which version was champion at a time, since when, and why.

    \b
    Examples:
      retrain champion iris-classifier
      retrain champion iris-classifier --at 2026-11-01T00:00:00Z
    """
    found = client.champion(model, at=at, alias=alias)
    if as_json:
        show_json(found)
        return
    click.echo(plain_line(f"Version {found['version']} since {found['at']}, by {found['actor']}: {found['reason']}"))


@click.command()
@model_argument
@click.option("--metric", required=True, metavar="NAME", help="What was measured.")
@click.option("--value", required=True, type=float, help="The value.")
@click.option("--version", type=click.IntRange(min=1), help="The version that was measured; by default the champion.")
@click.option("--at", metavar="TIME", help="When, such as 2026-11-01T00:00:00Z; by default now.")
@click.option("--n", type=click.IntRange(min=1), default=1, show_default=True, help="Examples that were measured.")
@json_option
@click.pass_obj
def observe(client: Client, /, *, model: str, as_json: bool, **said: Any) -> None:
    """Report how a model's champion does in use.

    While it is on probation, a value that is worse than allowed makes the version before it champion again.

    \b
    Examples:
      retrain observe iris-classifier --metric accuracy --value 0.91
      retrain observe iris-classifier --metric accuracy --value 0.91 --version 2 --n 450
    """
    seen = client.observe(model, **said)
    if as_json:
        show_json(seen)
        return
    gone = "" if seen["champion"] == seen["version"] else f" Version {seen['champion'] or 'none'} is champion again."
    verdict = seen["verdict"].replace("_", " ")
    click.echo(plain_line(f"Version {seen['version']} of {model}: {verdict}: {seen['reason']}.{gone}"))


@click.command()
@promotion_argument
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who ask later.")
@json_option
@click.pass_obj
def approve(client: Client, promotion_id: str, reason: str, as_json: bool) -> None:
    """Let a version that waits for approval become champion.

    If another one became champion meanwhile, it is compared with that one first.

    \b
    Examples:
      retrain approve 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b
    """
    _show_answered(client.approve(promotion_id, reason), as_json=as_json)


@click.command()
@promotion_argument
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who ask later.")
@json_option
@click.pass_obj
def reject(client: Client, promotion_id: str, reason: str, as_json: bool) -> None:
    """Refuse a version that waits for approval.

    \b
    Examples:
      retrain reject 5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b --reason "blind to roses"
    """
    _show_answered(client.reject(promotion_id, reason), as_json=as_json)


def _show(names: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    if is_for_people():
        show_table(names, rows, empty=empty)
    else:
        show_lines(rows)


def _show_answered(promotion: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(promotion)
        return
    what = f"Version {promotion['version']} of {promotion['model']} is {promotion['state'].replace('_', ' ')}"
    click.echo(plain_line(f"{what}: {promotion['reason']}"))


def _aliases(model: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {version}" for name, version in model["aliases"].items() if name != "champion")


def _probation(model: dict[str, Any]) -> str:
    """Return what the champion must keep to; a server of an older version does not say."""
    found = model.get("probation")
    if found is None:
        return ""
    bound, sign = found["bound"], ">=" if found["direction"] == "higher_is_better" else "<="
    rule = (
        f"{found['metric']} {sign} {bound:.6g}" if bound is not None else f"{found['metric']}, nothing to compare with"
    )
    return f"{rule} until {found['until'][:16]}Z ({found['observations']} observed)"


@click.command()
@click.argument("model")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why, for those who ask later.")
@json_option
@click.pass_obj
def rollback(client: Client, /, *, model: str, version: int, reason: str, as_json: bool) -> None:
    """Make another version of a model its champion, such as the one before.

    The replaced champion gets the alias previous.

    \b
    Examples:
      retrain rollback iris-classifier 1 --reason "version 2 is blind to roses"
    """
    answer = client.roll_back(model, version, reason)
    if as_json:
        show_json(answer)
        return
    was = f", and version {answer['previous_version']} the one before" if answer["previous_version"] else ""
    already = "" if answer["changed"] else " already"
    click.echo(plain_line(f"Version {answer['version']} of {answer['model']} is champion{already}{was}."))
