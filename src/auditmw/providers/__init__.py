"""Readers of providers' wire formats, one format a file."""
