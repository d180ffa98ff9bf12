"""The documentation: reference pages written from the code, and the site that is built from docs/ and README.md."""
