"""Where data may be, and what tells cheaply that it changed. A module for each kind of place; none fetches the data."""
