"""The form of callers' tokens, by which scanners for secrets and our redactor find them."""

PREFIX = "art_"
LENGTH = 43  # letters and digits: 256 bits
