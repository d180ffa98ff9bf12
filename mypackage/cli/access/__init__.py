"""The subcommands about who may do what: tokens and whoami."""
