"""Generates the OpenAPI document from the operations, serves its page, and finds breaking changes in it."""
