"""The operator's own logins: which there are, who may use them, and which of them a job needs."""
