"""What a page says after something was done; the address of the page has only the word."""

MESSAGES = {
    "signed-out": "You are signed out.",
    "cancelled": "The job is being cancelled.",
}
