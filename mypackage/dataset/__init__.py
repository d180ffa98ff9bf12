"""How datasets come here: one module for each origin, the archives, the cache, and what is recorded of them."""
