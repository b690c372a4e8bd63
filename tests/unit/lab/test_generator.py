"""The generated files: their format, their determinism, their labels and their order."""

from __future__ import annotations

import re
import tracemalloc
from datetime import UTC, date, datetime
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.generator import GenerationReport, write_dataset

DAY = (date(2014, 4, 7), date(2014, 4, 7))
WEEK = (date(2014, 8, 4), date(2014, 8, 10))
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
CLICK = re.compile(rf"\d+,{INSTANT},\d{{9,10}},(0|S|[1-9]|1[0-2]|\d{{8,10}})")
PURCHASE = re.compile(rf"\d+,{INSTANT},\d{{9,10}},\d+,\d+")
HEX = re.compile(r",[0-9a-f]{32}")


def _bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text(encoding="ascii").splitlines()]


def _ms(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1000)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> GenerationReport:
    return write_dataset(tmp_path_factory.mktemp("week"), days=WEEK, sessions=20_000, seed=4)


def test_every_line_has_the_data_set_s_format(week: GenerationReport) -> None:
    clicks = week.clicks_file.read_text(encoding="ascii").splitlines()
    purchases = week.purchases_file.read_text(encoding="ascii").splitlines()
    assert len(clicks) == week.clicks
    assert len(purchases) == week.purchases
    assert all(CLICK.fullmatch(line) for line in clicks)
    assert all(PURCHASE.fullmatch(line) for line in purchases)


def test_sessions_are_contiguous_and_not_in_order_of_time(week: GenerationReport) -> None:
    rows = _rows(week.clicks_file)
    runs = [session for session, _ in groupby(row[0] for row in rows)]
    assert len(runs) == len(set(runs)) == 20_000 + sum(week.attack_sessions.values())
    days = [row[1][:10] for row in rows]
    assert sum(one != other for one, other in pairwise(days)) > 10_000
    bought = [session for session, _ in groupby(row[0] for row in _rows(week.purchases_file))]
    assert len(bought) == len(set(bought))
    assert bought != sorted(bought, key=int)


def test_purchases_belong_to_sessions_and_are_unknown_as_a_pair(week: GenerationReport) -> None:
    clicked = {(row[0], row[2]) for row in _rows(week.clicks_file)}
    rows = _rows(week.purchases_file)
    assert {(row[0], row[2]) for row in rows} <= clicked
    assert all((row[3] == "0") == (row[4] == "0") for row in rows)
    zero = {row[0] for row in rows if row[3] == "0"}
    assert not zero & {row[0] for row in rows if row[3] != "0"}


def test_labels_name_the_injected_sessions_only(week: GenerationReport) -> None:
    header, *labels = _rows(week.labels_file)
    assert header == ["session_id", "attack", "family", "strength"]
    assert len(labels) == sum(week.attack_sessions.values()) > 0
    injected = {row[0] for row in labels}
    assert len(injected) == len(labels)
    longest = max(
        (len(list(run)), session)
        for session, run in groupby(row[0] for row in _rows(week.clicks_file))
        if session not in injected
    )
    assert longest[0] <= 200
    assert not injected & {row[0] for row in _rows(week.purchases_file)}


def test_injected_ids_look_like_the_others(week: GenerationReport) -> None:
    injected = {int(row[0]) for row in _rows(week.labels_file)[1:]}
    clean = {int(row[0]) for row in _rows(week.clicks_file)} - injected
    assert min(clean) < min(injected)
    assert max(injected) < max(clean)


def test_the_clean_part_does_not_depend_on_the_attacks(
    tmp_path: Path, week: GenerationReport
) -> None:
    clean = write_dataset(tmp_path, days=WEEK, sessions=20_000, seed=4, attacks="none")
    assert clean.attack_sessions == {}
    injected = {row[0] for row in _rows(week.labels_file)[1:]}
    rest = [row for row in _rows(week.clicks_file) if row[0] not in injected]
    assert rest == _rows(clean.clicks_file)
    assert clean.purchases_file.read_bytes() == week.purchases_file.read_bytes()


@pytest.mark.parametrize("disturbed", [{}, {"disorder": 0.1, "late": 0.02, "duplicates": 0.05}])
def test_one_seed_gives_the_same_bytes(tmp_path: Path, disturbed: dict[str, float]) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dataset(tmp_path / name, days=DAY, sessions=3_000, seed=seed, **disturbed)
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    differing = zip(_bytes(tmp_path / "a")[1:], _bytes(tmp_path / "c")[1:], strict=True)
    assert all(one != other for one, other in differing)


def test_a_day_is_the_same_in_any_range(tmp_path: Path) -> None:
    alone = write_dataset(tmp_path / "day", days=DAY, scale=0.05, seed=1)
    among = write_dataset(
        tmp_path / "days", days=(date(2014, 4, 1), date(2014, 4, 9)), scale=0.05, seed=1
    )
    sessions = {row[0] for row in _rows(alone.clicks_file)}
    kept = [row for row in _rows(among.clicks_file) if row[0] in sessions]
    assert kept == _rows(alone.clicks_file)


def test_large_days_are_made_in_parts(tmp_path: Path) -> None:
    report = write_dataset(tmp_path, days=DAY, sessions=130_000, seed=1, attacks="none")
    with report.clicks_file.open(encoding="ascii") as lines:
        runs = [session for session, _ in groupby(line.split(",", 1)[0] for line in lines)]
    assert len(runs) == len(set(runs)) == 130_000


@pytest.mark.parametrize(
    ("disorder", "late", "duplicates"), [(0.05, 0.01, 0.02), (0.0, 0.05, 0.0), (0.0, 0.0, 0.1)]
)
def test_arrival_order_has_the_shares_asked_for(
    tmp_path: Path, disorder: float, late: float, duplicates: float
) -> None:
    report = write_dataset(
        tmp_path, days=DAY, seed=2, scale=0.5,
        disorder=disorder, late=late, duplicates=duplicates,
    )  # fmt: skip
    greatest, seen = 0, set[str]()
    found = {"displaced": 0, "late": 0, "repeated": 0}
    with report.clicks_file.open(encoding="ascii") as lines:
        for line in lines:
            assert CLICK.fullmatch(line[:-34])
            assert HEX.fullmatch(line[-34:-1])
            _, instant, _, _, event_id = line.rstrip().split(",")
            at = _ms(instant)
            again = event_id in seen
            found["repeated"] += again
            found["late"] += not again and at < greatest - 10_000
            found["displaced"] += not again and greatest - 10_000 <= at < greatest
            assert not (again and at < greatest - 10_000)
            seen.add(event_id)
            greatest = max(greatest, at)
    events = report.clicks - found["repeated"]
    assert len(seen) == events
    assert found["displaced"] / events == pytest.approx(disorder, rel=0.1, abs=1e-9)
    assert found["late"] / events == pytest.approx(late, rel=0.1, abs=1e-9)
    assert found["repeated"] / events == pytest.approx(duplicates * (1 - late), rel=0.1, abs=1e-9)


def test_event_ids_differ_between_clicks_and_purchases(tmp_path: Path) -> None:
    report = write_dataset(tmp_path, days=DAY, sessions=5_000, seed=2, disorder=0.01)
    clicks = [row[-1] for row in _rows(report.clicks_file)]
    purchases = [row[-1] for row in _rows(report.purchases_file)]
    assert len(set(clicks + purchases)) == len(clicks) + len(purchases)


def test_an_outage_day_is_nearly_empty(tmp_path: Path) -> None:
    report = write_dataset(tmp_path, days=DAY, seed=1, outages=[DAY[0]])
    assert 2_500 < report.clean_sessions < 4_000


def test_a_demo_day_has_attacks_enough(tmp_path: Path) -> None:
    report = write_dataset(tmp_path, days=DAY, seed=1)
    assert report.clean_sessions > 50_000
    assert sum(report.attack_sessions.values()) >= 12
    assert all(count >= 4 for count in report.attack_sessions.values())


def test_progress_is_told_day_by_day(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_dataset(
        tmp_path, days=WEEK, sessions=100, progress=lambda done, of: told.append((done, of))
    )
    assert told == [(done, 7) for done in range(1, 8)]


def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    peaks = []
    for last in (date(2014, 5, 11), date(2014, 6, 29)):
        tracemalloc.start()
        write_dataset(tmp_path, days=(date(2014, 4, 7), last), scale=0.25, seed=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] < 300 * 2**20


def test_one_session_is_enough(tmp_path: Path) -> None:
    report = write_dataset(tmp_path, days=DAY, sessions=1, attacks="none")
    assert report.clicks >= 1
    assert all(row.ok is None and row.note for row in report.calibration)


def test_failing_leaves_the_old_files_and_no_others(tmp_path: Path) -> None:
    write_dataset(tmp_path, days=DAY, sessions=50, seed=1)
    before = _bytes(tmp_path)

    def stop(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, days=WEEK, sessions=5_000, seed=1, progress=stop)
    assert _bytes(tmp_path) == before


def test_days_lie_where_they_were_asked(week: GenerationReport) -> None:
    instants = [row[1] for row in _rows(week.clicks_file)]
    assert min(instants) >= "2014-08-04"
    assert max(instants) < "2014-08-12"
    assert (week.first_day, week.last_day) == WEEK
    assert datetime.strptime(min(instants), "%Y-%m-%dT%H:%M:%S.%f%z").tzinfo == UTC


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"late": 0.6}, "The share late is 0.6"),
        ({"disorder": -0.1}, "The share disorder is -0.1"),
        ({"duplicates": float("nan")}, "The share duplicates is nan"),
        ({"attacks": "nowhere.yaml"}, "Cannot read the attack plan"),
        ({"parameters": Path("nowhere.json")}, "Cannot read the parameter file"),
    ],
)
def test_wrong_arguments_write_nothing(
    tmp_path: Path, arguments: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        write_dataset(tmp_path, days=DAY, **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot write to"):
        write_dataset(tmp_path / "file" / "inside", days=DAY, sessions=10)


def test_attacks_that_do_not_fit_in_memory(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "attacks:\n  - attack: flood\n    family: runaway_burst\n    share: 0.1\n    parameters:\n"
        "      {clicks_per_second: 100, seconds: 1000, pages: 3}\n"
    )
    with pytest.raises(UsageError, match=r"can make .* clicks on 2014-04-07"):
        write_dataset(tmp_path / "out", days=DAY, attacks=str(plan))
    assert list((tmp_path / "out").iterdir()) == []
