"""Alerts: what is worth waking somebody for, told once, to whoever can be reached."""
