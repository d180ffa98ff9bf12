"""What a person should do about a failure, by its code; what caused it, the failure itself tells."""

from collections.abc import Mapping

from shared.errors import Code

ADVICE: Mapping[Code, str] = {code: code.advice for code in Code}  # a later version's code has none
