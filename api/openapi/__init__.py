"""The OpenAPI document, which follows from the operations; the page that shows it; what may not change in it."""
