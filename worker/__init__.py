"""The side that does the work: claim, source, project, run, container, watch, finish, sweep."""
