"""What the operator says of each kind of alert channel: a module each, which shared.alerts.kinds finds here."""
