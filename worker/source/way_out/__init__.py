"""The way out of this machine for git and all that is fetched like it."""
