"""The command line `retrain`: lets a person or a script use the service, through mypackage.client."""
