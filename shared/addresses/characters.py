"""Names characters in messages: those that nobody sees, too."""

KNOWN = {
    "\0": "a NUL character",
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a carriage return",
    "\x1b": "an escape character",
    " ": "a space",
    "\x7f": "a delete character",
}


def named(text: str) -> str:
    """Return the character, or the few of them, as a message shows them: `'~'`, `a tab`, `the character U+0007`."""
    if text in KNOWN:
        return KNOWN[text]
    if "\ud800" <= text[:1] <= "\udfff":
        return f"half of a character (U+{ord(text[0]):04X})"
    if not text.isprintable():
        return f"the character U+{ord(text[0]):04X}"
    return f'"{text}"' if text == "'" else f"'{text}'"
