"""`make mutants`: which changes of the pure decisions no test notices, and why the known ones may stay."""
