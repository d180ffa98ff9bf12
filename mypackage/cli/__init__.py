"""The command line `retrain`: what a person or a script asks of the service, through mypackage.client."""
