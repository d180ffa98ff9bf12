"""The table of codes in the page of failures; the rest of the page is written by hand."""

from shared.errors import Code

BEGIN, END = "<!-- codes -->", "<!-- /codes -->"


def text(page: str) -> str:
    """The page with its table as the code has it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = (f"| `{code}` | {code.meaning} | {code.advice} |" for code in Code)
    return "\n".join(
        [f"{before}{BEGIN}", "| code | what failed | what to do |", "|---|---|---|", *rows, f"{END}{after}"]
    )
