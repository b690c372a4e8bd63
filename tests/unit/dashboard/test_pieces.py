from __future__ import annotations

from urllib.parse import unquote

from clickstream_guardian.dashboard import pieces

EVIL = "<script>alert('1')</script>\"&"


def test_every_text_is_escaped() -> None:
    figure = pieces.Figure(EVIL, EVIL, EVIL, comparisons=(pieces.Comparison(0.1, EVIL),))
    drawn = [
        pieces.head(EVIL, EVIL, [pieces.chip(EVIL, EVIL), pieces.severity_badge(EVIL)]),
        pieces.title(EVIL, EVIL),
        pieces.figures([figure]),
        pieces.equation([figure, EVIL]),
        pieces.bars([pieces.Bar(EVIL, EVIL, 0.5)]),
        pieces.facts({EVIL: EVIL}),
        pieces.explanation(EVIL, []),
        pieces.state(EVIL, EVIL, EVIL),
        pieces.nothing(EVIL),
        pieces.sidebar_state("good", EVIL, [EVIL]),
    ]
    for html in drawn:
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def test_an_unknown_severity_has_no_colour() -> None:
    assert 'class="cg-badge critical"' in pieces.severity_badge("critical")
    assert 'class="cg-badge "' in pieces.severity_badge("x onclick=1")


def test_bars_stay_within_their_track() -> None:
    assert "width:100.00%" in pieces.bars([pieces.Bar("a", "b", 7.0)])
    assert "left:0.00%" in pieces.bars([pieces.Bar("a", "b", 0.5, mark=-1.0)])


def test_a_change_that_rounds_to_nothing_is_neither_up_nor_down() -> None:
    html = pieces.figures([pieces.Figure("a", "1", comparisons=(pieces.Comparison(0.0004, "x"),))])
    assert "cg-same" in html
    assert "▲" not in html


def test_no_line_of_fewer_than_three_values() -> None:
    assert pieces.spark([1.0, 2.0]) == ""


def test_a_flat_line_is_drawn() -> None:
    assert "M0.00 26.00 L50.00 26.00" in unquote(pieces.spark([3.0, 3.0, 3.0]))


def test_a_first_day_has_nothing_to_compare_with() -> None:
    nothing = (pieces.Comparison(None, "day before"), pieces.Comparison(None, "week before"))
    assert "no earlier day to compare" in pieces.figures(
        [pieces.Figure("a", "1", comparisons=nothing)]
    )
    one = (pieces.Comparison(0.1, "day before"), pieces.Comparison(None, "week before"))
    assert "week before" not in pieces.figures([pieces.Figure("a", "1", comparisons=one)])
