"""What a trigger would have started, under its policy and under others."""

from flask import request

from api.ui import definitions
from api.ui.asking import ask
from api.ui.backtests import DAYS, USUAL_DAYS, WORDS, days_of, try_on_the_past
from api.ui.page import page
from api.ui.rendering import render
from api.ui.trigger_words import OUTCOMES, policy_in_words, when_in_words
from api.views.triggers.trigger import get_trigger

SUGGESTED = """\
no-policy: {}
once-a-day: {max_per_day: 1}
weekly: {cooldown: 604800}
only-new-data: {skip_if_same_inputs: true}
"""


@page("GET /triggers/<name>/backtest")
def backtest(name: str) -> str:
    """Compare the recorded policy with those of the address; without any, with some that are usual."""
    found = ask(get_trigger, path={"name": name})
    written = request.args.get("policies")
    policies = definitions.read(SUGGESTED if written is None else written)
    shown = try_on_the_past(days_of(request.args), own="as it is", trigger=name, policies=policies)
    return render(
        "backtest.html",
        trigger=found,
        says=when_in_words(found["when"]),
        rules=policy_in_words(found["policy"]),
        shown=shown,
        policies=SUGGESTED if written is None else written,
        choices=sorted({*DAYS, shown.days}),
        outcomes=OUTCOMES,
        usual=USUAL_DAYS,
        **WORDS,
    )
