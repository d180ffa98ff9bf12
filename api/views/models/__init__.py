"""The operations about models: who is champion, who was, and what people say to it."""
