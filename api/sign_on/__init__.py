"""Single sign-on: people whom a trusted proxy names in a header, or an OpenID Connect issuer in a signed token."""
