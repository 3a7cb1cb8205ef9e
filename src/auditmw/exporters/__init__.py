"""Entries in formats of other systems, one format a file."""
