"""Failures on purpose: a steady load, a fault in its midst, and what was lost, doubled or late."""
