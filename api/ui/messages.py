"""What a page says after something was done; the address of the page has only the word."""

MESSAGES = {
    "signed-out": "You are signed out.",
    "all-paused": "No trigger fires until they are resumed.",
    "all-resumed": "Triggers fire again, for what happens from now on.",
    "paused": "The trigger fires nothing until it is resumed.",
    "resumed": "The trigger fires again, for what happens from now on.",
    "trigger-deleted": "The trigger is deleted. Its jobs stay.",
    "trigger-saved": "The trigger is saved.",
    "drained": "The host takes nothing new. What runs there goes on to its end.",
    "undrained": "The host takes jobs again.",
    "cancelled": "The job is being cancelled.",
    "approved": "It is approved, and champion now.",
    "approved-soon": "It is approved, and is being made champion.",
    "approved-too-late": "Another version became champion meanwhile, and this one is not better: it is not promoted.",
    "approved-impossible": "It is approved, but MLflow does not let it be champion. Was the version deleted?",
    "rejected": "It is rejected. The version stays registered.",
    "answered-before": "Somebody, or the time, was faster than you. The answer that counts is below.",
    "champion-made": "The champion has moved.",
    "champion-already": "That version was champion already. Nothing has changed.",
    "champion-changed": "Another version became champion since you looked, so nothing was done.",
}
