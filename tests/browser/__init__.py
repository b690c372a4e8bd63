"""The dashboard in a real browser: Chromium drives every page."""
