"""Finds the secrets in an address: passwords, tokens in its query and, for webhooks, in its path."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote

from shared.secrets.forms import SHORT

SECRET_NAME = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|CONNECTION_?STRING|AUTH|COOKIE|SIG(NATURE)?|SAS)$",
    re.IGNORECASE,
)
TOKEN_CHARACTERS = 16  # a part of a webhook's path this long, with a digit in it, is a token and not a word


def secrets_in_address(value: str) -> Iterator[str]:
    """Yield passwords. Not by urlsplit, which refuses some that a database's driver accepts."""
    _, scheme_end, rest = value.partition("://")
    if not scheme_end:
        return
    login = rest.rpartition("@")[0]
    found = [login.partition(":")[2]] if login else []
    found += [text for name, text in parse_qsl(rest.partition("?")[2]) if SECRET_NAME.search(name)]
    for secret in filter(None, found):
        yield from (secret, unquote(secret))


def secrets_of_webhook(url: str, *, ends_with_token: bool) -> Iterator[str]:
    """Yield a webhook's address, and the parts of it that allow posting there.

    Only the receiver knows which parts those are: the last of the path if told so, else those that look like tokens.
    """
    yield url
    yield from secrets_in_address(url)
    path = url.partition("?")[0].partition("://")[2].partition("/")[2]
    *others, last = path.split("/")
    tokens = [each for each in (*others, last) if len(each) >= TOKEN_CHARACTERS and re.search("[0-9]", each)]
    for token in [last] if ends_with_token else tokens:
        yield from (token, unquote(token))
    yield from (value for _, value in parse_qsl(url.partition("?")[2]) if len(value) >= SHORT)
