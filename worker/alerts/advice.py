"""Advises what to do about a failure, by its code; the failure itself tells the cause."""

from collections.abc import Mapping

from shared.errors import Code

ADVICE: Mapping[Code, str] = {code: code.advice for code in Code}  # a later version's code has none
