"""What is kept of people, for how long, under which lock, and how it goes."""
