"""A session's verdict from its standing anomalies. Pure: no clock, no database, no settings."""

from clickstream_guardian.verdicts.allow import AllowEntry, AllowKind, AllowList
from clickstream_guardian.verdicts.judge import Judgement, Standing, Verdict, judge

__all__ = ["AllowEntry", "AllowKind", "AllowList", "Judgement", "Standing", "Verdict", "judge"]
