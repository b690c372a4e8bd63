"""The script that Streamlit runs for every viewer: frame, navigation, and the page asked for."""

from __future__ import annotations

from clickstream_guardian.dashboard.layout import run

run()
