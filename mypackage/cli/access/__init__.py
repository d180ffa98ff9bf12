"""The subcommands about who may do what, and who did what: tokens, whoami and audit."""
