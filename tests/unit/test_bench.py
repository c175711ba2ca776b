"""What the bench says of its races, and that the docs say the same."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.window import KEPT_AFTER_END
from tests.bench.bounds import BOUNDS, DEFAULTS, RAW, Bound, at_least
from tests.bench.kept import FIGURES, PAGES, SHORT, filled
from tests.bench.lifetimes import CYCLE, LEAD, SILENT, Lifetimes
from tests.bench.plot import Axis, Picture
from tests.bench.table import Beside, Row, as_json, side_by_side, text
from tests.broker.clocks import BEGINS

BACKLOG = "backlog of announcements"


@pytest.mark.parametrize(
    ("bound", "ratio", "says"),
    [
        (Bound(1.2, 0.7), 0.7, "aim"),
        (Bound(1.2, 0.7), 1.2, "reach"),
        (Bound(1.2, 0.7), 1.21, "missed"),
        (at_least(0.6, 0.85), 0.85, "aim"),
        (at_least(0.6, 0.85), 0.6, "reach"),
        (at_least(0.6, 0.85), 0.59, "missed"),
        (at_least(0.6), 2.0, "reach"),
    ],
)
def test_a_bound_says_what_a_ratio_holds(bound: Bound, ratio: float, says: str) -> None:
    assert bound.says(ratio) == says


def test_every_aim_asks_for_more_than_its_reach() -> None:
    for bound in BOUNDS.values():
        assert bound.aim is None or bound.says(bound.aim) == "aim"
        assert bound.aim is None or bound.says(bound.reach) == "reach"


def test_each_turn_gives_a_ratio_and_the_middle_one_counts_with_both_ends() -> None:
    row = side_by_side(BACKLOG, "events/s", [10.0, 30.0, 50.0], {RAW: [100.0, 100.0, 100.0]})
    assert row.herald == 30.0
    assert row.peers[RAW] == Beside(100.0, 0.3, (0.1, 0.5))


def test_text_and_json_say_reach_and_aim_and_which_holds() -> None:
    rows = [
        Row(BACKLOG, "events/s", 7.0, {RAW: Beside(10.0, 0.7, (0.6, 0.8))}),
        Row("announce to alert at 20/s, p50", "ms", 20.0, {DEFAULTS: Beside(100.0, 0.2)}),
        Row("announcements, memory", "MiB", 90.0, {RAW: Beside(45.0, 2.0)}),
        Row("a figure alone", "s", 1.5, {}),
    ]
    said = text(rows)
    assert (
        "| backlog of announcements, events/s | 7 | 10, raw aiokafka | 0.7 (0.6 to 0.8) | ≥ 0.6 | ≥ 0.85 | reach |"
        in said
    )
    assert "| 0.2 | ≤ 0.1 | ≤ 0.05 | missed |" in said
    assert "| announcements, memory, MiB | 90 | 45, raw aiokafka | 2 | – | – |  |" in said
    assert said.endswith("1 of 2 bounds are reached, 0 of them as aimed at")
    first, second, third, _ = as_json(rows)
    assert first["peers"][RAW] | {"reach": 0.6, "aim": 0.85, "at_least": True, "holds": "reach"} == first["peers"][RAW]
    assert second["peers"][DEFAULTS]["holds"] == "missed"
    assert third["peers"][RAW]["holds"] is None


def test_what_lies_beyond_a_picture_is_drawn_at_its_edge() -> None:
    axis = Axis(10, 1000, (10, 100, 1000), str, is_log=True)
    assert [axis.share(value) for value in (1, 10, 100, 5000)] == [0, 0, 0.5, 1]
    picture = Picture("<t>", axis, axis, {"a": [(1, 1), (5000, 5000)]}).svg()
    assert "&lt;t&gt;" in picture
    assert 'points="70.0,340.0 710.0,20.0"' in picture


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_in_the_docs_are_those_of_the_kept_figures(page: Path) -> None:
    said = page.read_text()
    assert "<!-- bench: " in said
    assert filled(said) == said, "`python -m tests.bench.kept` writes them anew"


def test_every_race_with_a_bound_has_its_figure_in_the_docs_and_those_of_the_readme_are_bounded() -> None:
    known = FIGURES.read_text()
    assert [race for race, _ in BOUNDS if f'"{race}"' not in known] == []
    assert set(SHORT) <= BOUNDS.keys()


def test_in_a_soak_each_release_lives_again_and_again_and_is_forgotten_in_between() -> None:
    lifetimes, ends = Lifetimes(40), dict[int, set[timedelta]]()
    for hour in range(24 * 3 * CYCLE.days):
        now = BEGINS + timedelta(hours=hour)
        release, out_at = lifetimes.next(now)
        assert SILENT < out_at - now <= LEAD
        ends.setdefault(release, set()).add(out_at - BEGINS)
    assert len(ends) == 40
    for lives in ends.values():
        assert len(lives) >= 3
        assert {later - one for one, later in pairwise(sorted(lives))} == {CYCLE}
    assert CYCLE > LEAD + KEPT_AFTER_END
