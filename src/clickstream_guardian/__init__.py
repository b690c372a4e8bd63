"""Clickstream Guardian: clicks in; a lake, abusive sessions and the day's numbers out."""

__version__ = "0.1.0"
