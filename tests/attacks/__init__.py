"""The attack table: each row names a defence, and a test that fails without it. `make attacks` shows that it does."""
