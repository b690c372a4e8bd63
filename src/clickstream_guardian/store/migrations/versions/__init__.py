"""Revisions, named by number."""
