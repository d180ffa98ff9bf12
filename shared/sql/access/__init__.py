"""The record of tokens and of the audit in SQL."""
