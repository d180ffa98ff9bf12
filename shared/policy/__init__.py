"""What may be asked, by team and role: the rules of POLICY_FILE, how they combine, and what they say of a request."""
