"""The API's operations. Their docstrings are its documentation, written for the caller."""
