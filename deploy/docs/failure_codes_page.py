"""The table of codes in the page of failures; the rest of the page is written by hand."""

from shared.errors import Code

BEGIN, END = "<!-- codes -->", "<!-- /codes -->"


def text(page: str) -> str:
    """Return the page with its table generated from the code."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = (f"| `{code}` | {code.meaning} | {code.advice} |" for code in Code)
    return "\n".join(
        [f"{before}{BEGIN}", "| code | what failed | what to do |", "|---|---|---|", *rows, f"{END}{after}"]
    )
