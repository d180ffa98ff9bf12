"""Pictures of the pages for README and docs, of the same jobs each time."""
