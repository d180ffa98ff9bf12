"""What a page says after something was done; the address of the page has only the word."""

MESSAGES = {
    "signed-out": "You are signed out.",
    "drained": "The host takes nothing new. What runs there goes on to its end.",
    "undrained": "The host takes jobs again.",
    "cancelled": "The job is being cancelled.",
}
