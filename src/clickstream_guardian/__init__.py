"""Clickstream Guardian: raw clicks in; a lake, abusive sessions with reasons, and clean numbers out."""

__version__ = "0.1.0"
