"""Mirrors of repositories: which go, and what is kept with one."""
