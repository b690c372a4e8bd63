"""A session's verdict from its standing anomalies. Pure: no clock, no database, no settings."""

from clickstream_guardian.verdicts.allow import AllowEntry, AllowKind, AllowList, Clients
from clickstream_guardian.verdicts.judge import Judgement, Standing, Verdict, judge

__all__ = [
    "AllowEntry",
    "AllowKind",
    "AllowList",
    "Clients",
    "Judgement",
    "Standing",
    "Verdict",
    "judge",
]
