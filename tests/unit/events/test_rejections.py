"""The bytes of a rejection are told back exactly, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickstream_guardian.events.rejections import RAW_LIMIT, Reason, original_bytes, reject


@given(st.binary(max_size=200))
def test_bytes_come_back_as_they_were_or_not_at_all(raw: bytes) -> None:
    kept = reject(0, 1, Reason.BAD_AVRO, raw)
    assert original_bytes(kept.raw, kept.raw_bytes) in (raw, None)


@pytest.mark.parametrize("raw", [b"", b"1,2", bytes(range(256)), "é\\x41".encode(), b"\0\xff"])
def test_bytes_that_hold_no_escape_come_back(raw: bytes) -> None:
    kept = reject(0, 1, Reason.BAD_AVRO, raw)
    assert original_bytes(kept.raw, kept.raw_bytes) == raw


@pytest.mark.parametrize("raw", [b"a" * (RAW_LIMIT + 1), rb"\xff" + b"\xff"])
def test_cut_and_ambiguous_bytes_are_not_guessed(raw: bytes) -> None:
    kept = reject(0, 1, Reason.BAD_AVRO, raw)
    assert original_bytes(kept.raw, kept.raw_bytes) is None
