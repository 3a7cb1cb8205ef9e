"""What the sanitizer is made of: a body's texts as one text, tokens for what is found, and the way back."""
