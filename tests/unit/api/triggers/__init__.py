"""The API's part of triggers, on fakes."""
