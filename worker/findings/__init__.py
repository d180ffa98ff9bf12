"""What a check says about one thing, and how it asks: for the doctor, and for runners and alert channels."""
