"""Who sends a request, and whether it may have what it asks for."""
