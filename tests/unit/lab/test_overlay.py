"""Attacks on top of files: the files' own lines stay, the labels name the others."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.lab.overlay import OverlayReport, overlay
from clickstream_guardian.lab.scoring import read_labels

_DAYS = (date(2014, 4, 7), date(2014, 4, 8))
_FEW = ("fast_bot", "purchase_burst", "catalogue_scraper")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    write_dataset(folder, sessions=800, seed=4, attacks="none", days=_DAYS)
    return folder


@pytest.fixture(scope="module")
def dirty(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> OverlayReport:
    return _overlay(clean, tmp_path_factory.mktemp("dirty"))


def _overlay(clean: Path, out: Path, seed: int = 2) -> OverlayReport:
    return overlay(
        clean / "yoochoose-clicks.dat",
        clean / "yoochoose-buys.dat",
        out,
        families=_FEW,
        share=0.05,
        seed=seed,
    )


def _rows(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def test_own_lines_stay_and_labels_name_the_sessions_of_all_others(
    clean: Path, dirty: OverlayReport
) -> None:
    labelled = set(read_labels(dirty.labels_file)["session_id"])
    added: set[str] = set()
    for name, path in (
        ("yoochoose-clicks.dat", dirty.clicks_file),
        ("yoochoose-buys.dat", dirty.purchases_file),
    ):
        own = _rows(clean / name)
        rows = _rows(path)
        assert [row for row in rows if row[0] not in labelled] == own
        assert labelled.isdisjoint(row[0] for row in own)
        assert {len(row) for row in rows} == {len(own[0])}
        added |= {row[0] for row in rows} - {row[0] for row in own}
    assert added == labelled
    assert len(labelled) == sum(dirty.sessions.values())
    assert 20 <= len(labelled) <= 60


def test_families_are_those_chosen(dirty: OverlayReport) -> None:
    labels = read_labels(dirty.labels_file)
    assert set(labels["family"]) == set(_FEW)
    assert set(labels["strength"]) == {"naive", "jittered", "mimic"}


def test_attacks_go_for_items_of_the_shop_at_its_prices(clean: Path, dirty: OverlayReport) -> None:
    items = {row[2] for row in _rows(clean / "yoochoose-clicks.dat")}
    assert {row[2] for row in _rows(dirty.clicks_file)} == items
    prices = {row[3] for row in _rows(clean / "yoochoose-buys.dat")}
    known = [row[3] for row in _rows(dirty.purchases_file) if row[3]]
    assert len(set(known) & prices) > 0.5 * len(set(known))


def test_the_same_seed_gives_the_same_bytes_and_another_others(
    clean: Path, dirty: OverlayReport, tmp_path: Path
) -> None:
    again, other = _overlay(clean, tmp_path / "a"), _overlay(clean, tmp_path / "b", seed=3)
    assert again.clicks_file.read_bytes() == dirty.clicks_file.read_bytes()
    assert again.labels_file.read_bytes() == dirty.labels_file.read_bytes()
    assert other.clicks_file.read_bytes() != dirty.clicks_file.read_bytes()


def test_columns_of_the_file_s_own_are_kept_and_ids_of_text_get_ids_of_text(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    rows = [
        f"2024-05-0{1 + n % 2}T10:{n // 5:02}:{n % 5:02}Z,e{n},visit-{n // 5},i{n % 9},shoes,::1"
        for n in range(200)
    ]
    path.write_text("\n".join(["time,event_id,session,item,category,ip", *rows]) + "\n")
    report = overlay(path, None, tmp_path / "out", families=["fast_bot"], share=0.2)
    labelled = set(read_labels(report.labels_file)["session_id"])
    written = _rows(report.clicks_file)[1:]
    added = [row for row in written if row[2] in labelled]
    assert ["".join(row) for row in written if row[2] not in labelled] == [
        row.replace(",", "") for row in rows
    ]
    assert labelled
    assert all(len(session) == 16 for session in labelled)
    assert len({row[1] for row in added}) == len(added) == report.clicks
    assert {(row[4], row[5]) for row in added} == {("shoes", "")}
    assert report.purchases == 0


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"families": ["fastbot"]}, "family 'fastbot'; it has auto_refresh"),
        ({"strengths": ["hard"]}, "strength 'hard'; it has control"),
        ({"families": ["fast_bot"], "strengths": ["control"]}, "leaves no attack"),
        ({"share": 0.7}, "share is 0.7"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_sentence(
    clean: Path, tmp_path: Path, choice: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        overlay(clean / "yoochoose-clicks.dat", None, tmp_path, **choice)  # type: ignore[arg-type]


def test_files_are_not_written_over(clean: Path) -> None:
    with pytest.raises(UsageError, match="would be written over"):
        overlay(clean / "yoochoose-clicks.dat", None, clean)


def test_a_file_without_clicks_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("\n")
    with pytest.raises(UsageError, match="holds no click"):
        overlay(path, None, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
