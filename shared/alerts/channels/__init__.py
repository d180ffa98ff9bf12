"""The settings of each kind of alert channel: one module each, which shared.alerts.kinds finds here."""
