"""Charts against numbers worked out by hand."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.report.html import charts
from memaudit.report.overview import BINS, domain, overview, risk
from memaudit.schemas import FRAMES, SEVERITIES
from memaudit.text.arrow import hash_sites
from memaudit.verdicts import judged

if TYPE_CHECKING:
    from memaudit.store import Audit


def marks(svg: str, class_: str) -> list[dict[str, str]]:
    return [e.attrib for e in ET.fromstring(svg).iter() if class_ in e.attrib.get("class", "").split()]


def bins(**counts: dict[int, int]) -> list[dict[str, Any]]:
    names = (*SEVERITIES, "suppressed")
    return [{"start": b / BINS, **{n: counts.get(n, {}).get(b, 0) for n in names}} for b in range(BINS)]


def test_bars_of_the_histogram() -> None:
    svg = charts.histogram(bins(info={0: 40, 1: 10}, high={1: 30}, critical={19: 20}), height=150)
    plot, step = 150 - charts.TOP - charts.BOTTOM, (charts.WIDTH - charts.LEFT - charts.RIGHT) / BINS
    info, high = marks(svg, "s-info"), marks(svg, "s-high")
    assert float(info[0]["height"]) == plot  # 40 of 40
    assert float(info[1]["height"]) == plot / 4
    assert float(high[0]["height"]) == plot * 3 / 4
    assert float(high[0]["y"]) + float(high[0]["height"]) == pytest.approx(
        float(info[1]["y"])
    )  # it stands on the other
    assert float(high[0]["x"]) == pytest.approx(charts.LEFT + step + 0.75)
    assert float(marks(svg, "s-critical")[0]["x"]) == pytest.approx(charts.LEFT + 19 * step + 0.75, abs=0.01)
    assert "0.05 to 0.10: 30 high" in svg


def test_what_is_there_is_seen() -> None:
    svg = charts.histogram(bins(info={0: 100_000}, high={5: 1}))
    assert float(marks(svg, "s-high")[0]["height"]) == charts.HAIR
    assert float(marks(charts.stacked([("a", 1), ("b", 10**9)], "t", "p-"), "p-a")[0]["width"]) > 1


@given(st.integers(1, 10**9))
def test_the_top_of_an_axis(value: int) -> None:
    top = charts.ceiling(value)
    assert value <= top and top <= max(value + 1, 1.5 * value + 1) * 1.2
    assert charts.ceiling(top) == top


def test_points_of_the_size_chart() -> None:
    by_kind = {"exact": [{"rows": 1, "clusters": 100}, {"rows": 4, "clusters": 1}], "near": [], "template": []}
    svg = charts.sizes(by_kind, height=150)
    plot, wide = 150 - charts.TOP - charts.BOTTOM, charts.WIDTH - charts.LEFT - charts.RIGHT - 6
    first, second = marks(svg, "mark")
    assert (float(first["cx"]), float(first["cy"])) == (charts.LEFT + 6, pytest.approx(charts.TOP + plot / 3, abs=0.01))
    assert float(second["cx"]) == pytest.approx(charts.LEFT + 6 + wide * math.log10(4), abs=0.01)
    assert float(second["cy"]) == charts.TOP + plot
    assert "exact: 1 of 4 to 7 rows" in svg


def test_parts_of_a_stacked_bar_fill_it() -> None:
    parts = [("a", 1), ("b", 0), ("c", 3)]
    svg = charts.stacked(parts, "t", "p-", width=101.5)
    a, c = marks(svg, "p-a")[0], marks(svg, "p-c")[0]
    assert (float(a["width"]), float(c["width"])) == (25, 75)
    assert float(c["x"]) == 26.5
    assert not marks(svg, "p-b")


def test_an_interval_with_its_marks() -> None:
    verdict = {"rate": 0.5, "low": 0.25, "high": 1.0, "control_rate": 0.0, "reference_rate": 0.75}
    svg = charts.interval(verdict, width=116)  # 100 units from 0 to 1
    span, dot = marks(svg, "span")[0], marks(svg, "rate")[0]
    assert (float(span["x"]), float(span["width"]), float(dot["cx"])) == (33, 75, 58)
    assert [float(marks(svg, f"tick-{letter}")[0]["x1"]) for letter in "cr"] == [8, 83]
    title = ET.fromstring(svg)[0].text
    assert title == "rate 50 %, interval 25 % to 100 %, control rate 0 %, reference rate 75 %"
    bare = charts.interval({"rate": None, "low": None, "high": None, "control_rate": None})
    assert not marks(bare, "span") and not marks(bare, "rate")


def test_features_to_the_right_and_to_the_left() -> None:
    more, less = charts.feature(1.0, 2.0, "t", width=120), charts.feature(-2.0, 2.0, "t", width=120)
    assert (float(marks(more, "more")[0]["x"]), float(marks(more, "more")[0]["width"])) == (40, 40)
    assert (float(marks(less, "less")[0]["x"]), float(marks(less, "less")[0]["width"])) == (0, 40)


@given(st.floats(0, 1), st.text(max_size=20))
def test_charts_are_well_formed_and_named(value: float, title: str) -> None:
    title = "".join(c for c in title if c.isprintable())
    svg = charts.share(value, title)
    assert ET.fromstring(svg)[0].text == (title or None)
    assert ET.fromstring(svg).attrib["role"] == "img"
    assert not re.search(r"style=|<script|<image|<use|<foreignObject", svg)


# What they are drawn from


def test_risks_by_bin() -> None:
    rows = [(0.0, "info", False), (0.049, "info", False), (0.05, "low", False), (1.0, "critical", False)]
    frame = pl.DataFrame(
        [*rows, (0.99, "high", True)],
        schema={"risk": pl.Float32, "severity": FRAMES["findings"]["severity"], "suppressed": pl.Boolean}, orient="row",
    )  # fmt: skip
    found = risk(frame)
    assert found[0]["info"] == 2 and found[1]["low"] == 1
    assert found[19]["critical"] == 1 and found[19]["suppressed"] == 1


def test_sizes_files_and_domains_of_an_audit(audit: Audit) -> None:
    told = overview(audit, judged(audit).findings)
    assert told["sizes"]["exact"] == [{"rows": 4, "clusters": 1}]  # 5 rows
    assert told["sizes"]["near"] == [{"rows": 2, "clusters": 1}]
    assert told["sizes"]["template"] == [{"rows": 2, "clusters": 1}, {"rows": 4, "clusters": 2}]  # 3; 4 and 5
    [file] = told["files"]["shown"]
    assert (file["rows"], file["skipped"], file["in_findings"]) == (19, 3, 12)  # not the suppressed three
    assert told["domains"] == {"total": 0, "shown": []}  # this audit holds no hashes


def test_domains_of_a_scan(sample_audit: Audit) -> None:
    told = overview(sample_audit, judged(sample_audit).findings)["domains"]
    captions = sample_audit.frame("members").filter(pl.col("domain").is_not_null())
    assert told["total"] == captions["domain"].n_unique() > 12
    assert all(one["domain"].endswith(".example") for one in told["shown"])
    counted = captions.group_by("domain").len()
    data = [one["domain"].encode() for one in told["shown"]]
    for one, name in zip(told["shown"], data, strict=True):
        url = np.frombuffer(b"http://" + name + b"/", np.uint8)
        hashed = int(hash_sites(url, np.array([0, len(url)], np.int64))[0])
        assert counted.filter(pl.col("domain") == hashed)["len"].item() == one["captions"] >= one["in_findings"]


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("https://img1.Shop.com/a.jpg", "shop.com"),
        ("https://cdn.shop.co.uk/a", "shop.co.uk"),
        ("https://shop.co.uk/a", "shop.co.uk"),
        ("http://user@a.b.example:80/x", "b.example"),
        ("a/b.jpg", None),
        (None, None),
        ("http://[bad", None),
    ],
)
def test_the_domain_of_a_reference(reference: str | None, name: str | None) -> None:
    assert domain(reference) == name
