"""A file read once: bad lines apart, ids stable, either order, cut wherever chunks end."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from clickstream_guardian.errors import GuardianError, TooMuchRejectedError, UsageError
from clickstream_guardian.events.decode import MAX_LINE_BYTES
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.events.identity import event_id
from clickstream_guardian.sources import lines as lines_module
from clickstream_guardian.sources.lines import check_file, fingerprint
from clickstream_guardian.sources.replay import Batch, FileSource, batches, rejected
from clickstream_guardian.sources.spool import Order, Spool, build_spool

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY_2 = b"1,2014-04-08T00:00:00.000Z,7,0"
DAY_1 = b"2,2014-04-07T23:59:59.999Z,8,0"
BAD = b"nonsense"


def spool(tmp_path: Path, data: bytes, order: Order = Order.TIME, **options: object) -> Spool:
    path = tmp_path / "clicks.dat"
    path.write_bytes(data)
    return build_spool(tmp_path / f"spool-{order}", path, CLICK, order, NOW, **options)  # type: ignore[arg-type]


def pack(data: bytes, suffix: str) -> bytes:
    codec = {".gz": "gzip", ".zst": "zstd"}[suffix]
    return bytes(pa.compress(data, codec, asbytes=True))


def source(made: Spool, tmp_path: Path) -> FileSource:
    return FileSource("f", tmp_path / "clicks.dat", CLICK, NOW, made)


def events(made: Spool, tmp_path: Path, start: int = 0) -> pl.DataFrame:
    frames = [
        part.events
        for batch in batches([source(made, tmp_path)], {"f": start})
        for part in batch.parts
        if len(part.events)
    ]
    return pl.concat(frames) if frames else pl.DataFrame()


def test_time_order_replays_by_event_time_after_the_rejections(tmp_path: Path) -> None:
    made = spool(tmp_path, b"\n".join([DAY_2, BAD, DAY_1]))
    assert events(made, tmp_path)["session_id"].to_list() == ["2", "1"]
    assert events(made, tmp_path)["offset"].to_list() == [1, 2]
    assert [f["offset"].to_list() for f in rejected(source(made, tmp_path), 0)] == [[0]]


def test_file_order_replays_the_lines_as_they_stand(tmp_path: Path) -> None:
    made = spool(tmp_path, b"\n".join([DAY_2, BAD, DAY_1]), Order.FILE)
    assert events(made, tmp_path)["session_id"].to_list() == ["1", "2"]
    assert events(made, tmp_path)["offset"].to_list() == [0, 2]
    assert [f["offset"].to_list() for f in rejected(source(made, tmp_path), 0)] == [[1]]


@pytest.mark.parametrize("order", Order)
def test_equal_lines_are_distinct_events_with_the_same_ids_in_either_order(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 40)
    made = spool(tmp_path, b"\n".join([DAY_1, DAY_2, DAY_1, DAY_1]), order)
    ids = set(events(made, tmp_path)["event_id"].to_list())
    us = int(datetime(2014, 4, 7, 23, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1000) * 1000
    wanted = {int.from_bytes(event_id(CLICK, "2", us, "8", n)) for n in range(3)}
    assert wanted < ids
    assert len(ids) == 4


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("chunk", [1, 33, 64, 10_000])
def test_where_a_chunk_ends_changes_nothing(
    tmp_path: Path, order: Order, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", chunk)
    made = spool(tmp_path, b"\n".join([DAY_2, b"", BAD, DAY_1, BAD]), order)
    (bad,) = rejected(source(made, tmp_path), 0)
    assert bad["line_number"].to_list() == [3, 5]
    assert (made.index.rows, made.index.rejected) == (4, 2)
    assert len(events(made, tmp_path)) == 2


@pytest.mark.parametrize("suffix", [".gz", ".zst", ""])
def test_compressed_files_read_like_plain_ones(tmp_path: Path, suffix: str) -> None:
    data = b"\n".join([DAY_1, DAY_2])
    packed = pack(data, suffix) if suffix else data
    path = tmp_path / f"c.dat{suffix}"
    path.write_bytes(packed)
    made = build_spool(tmp_path / "spool", path, CLICK, Order.TIME, NOW)
    assert made.index.rows == 2


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_off_archive_is_one_sentence_and_leaves_no_spool(tmp_path: Path, suffix: str) -> None:
    data = b"\n".join([DAY_1] * 50_000)
    packed = pack(data, suffix)
    path = tmp_path / f"c.dat{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(GuardianError, match="cannot be read to its end"):
        build_spool(tmp_path / "spool", path, CLICK, Order.TIME, NOW)
    assert not (tmp_path / "spool").exists()


def test_a_line_of_ten_megabytes_is_rejected_alone(tmp_path: Path) -> None:
    long_line = b"x" * (10 * MAX_LINE_BYTES)
    made = spool(tmp_path, b"\n".join([DAY_1, long_line, DAY_2]))
    (bad,) = rejected(source(made, tmp_path), 0)
    assert bad.select("line_number", "reason", "raw_bytes").rows() == [
        (2, "line_too_long", 10 * MAX_LINE_BYTES)
    ]
    assert len(events(made, tmp_path)) == 2


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    made = spool(tmp_path, b"")
    assert made.index.rows == 0
    assert len(events(made, tmp_path)) == 0


def test_a_header_is_no_event_and_its_line_counts(tmp_path: Path) -> None:
    made = spool(
        tmp_path, b"\xef\xbb\xbfsession_id,timestamp,item_id,category\n" + DAY_1 + b"\nbad"
    )
    (bad,) = rejected(source(made, tmp_path), 0)
    assert bad["line_number"].to_list() == [3]
    assert made.index.rows == 2


def test_a_header_without_a_needed_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lacks item_id"):
        spool(tmp_path, b"session_id,timestamp\n1,2\n")


def test_only_the_first_lines_are_taken(tmp_path: Path) -> None:
    made = spool(tmp_path, b"\n".join([DAY_1, BAD, DAY_2, DAY_2]), max_rows=3)
    assert (made.index.rows, made.index.rejected) == (3, 1)


def test_strict_stops_at_the_first_bad_line(tmp_path: Path) -> None:
    with pytest.raises(TooMuchRejectedError, match=r"clicks.dat:2: .*nonsense"):
        spool(tmp_path, b"\n".join([DAY_1, BAD, DAY_2]), strict=True)


def test_what_an_interrupted_reading_left_is_made_anew(tmp_path: Path) -> None:
    leftover = tmp_path / "spool-time.building"
    leftover.mkdir()
    (leftover / "2014-04-07.arrow").write_bytes(b"half")
    assert spool(tmp_path, DAY_1).index.rows == 1


@pytest.mark.parametrize("name", ["index.json", "2014-04-07.arrow"])
@pytest.mark.parametrize("order", [Order.TIME, Order.FILE])
def test_what_a_power_failure_left_is_made_anew(tmp_path: Path, name: str, order: Order) -> None:
    made = spool(tmp_path, b"\n".join([DAY_1, DAY_2]), order)
    expected = events(made, tmp_path)
    torn = next(path for path in made.folder.iterdir() if path.suffix == Path(name).suffix)
    torn.unlink()  # what is read is mapped: it may not shrink
    torn.write_bytes(b"")
    assert events(spool(tmp_path, b"\n".join([DAY_1, DAY_2]), order), tmp_path).equals(expected)


def test_a_restart_begins_no_later_than_its_position(tmp_path: Path) -> None:
    made = spool(tmp_path, b"\n".join([DAY_1, DAY_2]))
    assert events(made, tmp_path, start=1)["offset"].to_list() == [1]


@pytest.mark.parametrize("part_rows", [100, 5], ids=["by day", "by minute"])
def test_files_of_both_kinds_share_the_stretches_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr("clickstream_guardian.sources.replay.SLICE_ROWS", 2)
    monkeypatch.setattr("clickstream_guardian.sources.spool._PART_ROWS", part_rows)
    clicks = spool(
        tmp_path, b"\n".join([DAY_1.replace(b"59.999", b"%02d.000" % s) for s in range(6)])
    )
    path = tmp_path / "buys.dat"
    path.write_bytes(b"2,2014-04-07T23:59:03.500Z,8,5,1\n2,2014-04-09T00:00:00.000Z,8,5,1\n")
    bought = build_spool(tmp_path / "spool-buys", path, PURCHASE, Order.TIME, NOW)
    files = [source(clicks, tmp_path), FileSource("g", path, PURCHASE, NOW, bought)]
    seen: list[Batch] = list(batches(files, {}))
    promised = None
    for batch in seen:
        times = [
            t for p in batch.parts if len(p.events) for t in p.events["occurred_at"].to_physical()
        ]
        assert all(promised is None or t >= promised for t in times)
        assert all(batch.promised_us is None or t < batch.promised_us for t in times)
        promised = batch.promised_us
    assert sum(batch.rows for batch in seen) == 8
    assert all(part.ended for part in seen[-1].parts)


def test_what_is_no_readable_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        check_file(tmp_path / "none")
    with pytest.raises(UsageError, match="is a directory"):
        check_file(tmp_path)


def test_a_file_is_named_by_its_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    assert fingerprint(one) == fingerprint(other)
