"""Looks at triggers, and makes their jobs. Any number of workers do so: the store lets one of them look at each."""
