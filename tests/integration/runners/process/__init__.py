"""Plain processes of this machine: what only they do."""
