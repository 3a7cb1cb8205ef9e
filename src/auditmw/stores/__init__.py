"""Where entries live and are queried, one store a file."""
