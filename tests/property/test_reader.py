"""Whatever bytes a file holds, every line is an event or a rejection, and nothing is lost."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.sources import lines as lines_module
from clickstream_guardian.sources.replay import FileSource, batches, rejected
from clickstream_guardian.sources.spool import Order, build_spool

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = b"1,2014-04-07T10:51:09.277Z,214536502,0"
PIECE = st.sampled_from(
    [
        GOOD,
        b"",
        b" ",
        b",",
        b"\0",
        b"\xff",
        b"\r",
        b'"',
        b"2014-04-07T10:51:09.277Z",
        b"1,",
        b"\xef\xbb\xbf",
    ]
)
LINE = st.one_of(
    st.just(GOOD),
    st.lists(PIECE, max_size=5).map(b"".join),
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"")),
    st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=3)).map(
        lambda cut: (GOOD[: cut[0]] + cut[1] + GOOD[cut[0] :]).replace(b"\n", b"")
    ),
)


@given(
    st.lists(LINE, max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from(list(Order)),
    st.sampled_from([CLICK, PURCHASE]),
    st.integers(1, 80),
)
@settings(max_examples=250, deadline=None)
def test_any_bytes_are_events_and_rejections_that_add_up(
    lines: list[bytes], newline: bytes, order: Order, kind: EventKind, chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "CHUNK_BYTES", chunk)
        path = Path(folder) / "any.dat"
        path.write_bytes(newline.join(lines))
        try:
            spool = build_spool(Path(folder) / "spool", path, kind, order, NOW)
        except UsageError as error:
            assert "the header lacks" in str(error)  # noqa: PT017
            return
        file = FileSource("f", path, kind, NOW, spool)
        parts = [part for batch in batches([file], {}) for part in batch.parts]
        taken = [o for part in parts if len(part.events) for o in part.events["offset"]]
        refused = [o for frame in rejected(file, 0) for o in frame["offset"]]
        assert sorted(taken + refused) == list(range(spool.index.rows))
        ids = [i for part in parts if len(part.events) for i in part.events["event_id"]]
        if all(b"," in line and line.count(b",") == 3 for line in lines):
            assert len(set(ids)) == len(ids)


@given(st.binary(max_size=300), st.sampled_from([".gz", ".zst"]))
@settings(max_examples=60, deadline=None)
def test_any_bytes_under_a_compressed_name_give_no_traceback(data: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"any.dat{suffix}"
        path.write_bytes(data)
        try:
            build_spool(Path(folder) / "spool", path, CLICK, Order.TIME, NOW)
        except GuardianError as error:
            assert str(path) in str(error)  # noqa: PT017
