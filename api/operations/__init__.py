"""What an operation of the API is: one decorated view. How it is read, checked, answered and documented follows."""
