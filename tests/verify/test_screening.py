"""Which clusters go on to sampling, with magnitudes that are made up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from memaudit.progress import Silent
from memaudit.rules import verify_rules
from memaudit.store import Audit
from memaudit.verify.journal import Journal
from memaudit.verify.prompts import Cluster, Prompt
from memaudit.verify.screen import Screened
from memaudit.verify.screening import SCREEN_SEEDS, everything, screen_clusters

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONTROLS = [Prompt("control", f"control {i}", i) for i in range(100)]


def cluster(i: int, *texts: str) -> Cluster:
    prompts = (*(Prompt("caption", text, None) for text in texts), Prompt("trigger", "never asked", None))
    return Cluster(i, f"{i:016x}", "exact", 0.5, texts[0] if texts else "", None, prompts)


class Measured:
    """In place of `screen.screen`: control i has magnitude i, other prompts what is given; agreement 0 but where
    given."""

    def __init__(self, magnitude: dict[str, float], agreement: dict[str, float] | None = None) -> None:
        self.magnitude, self.agreement = magnitude, agreement or {}
        self.asked: list[str] = []

    def __call__(self, model: Any, prompts: Sequence[str], seeds: Sequence[int], *, agreement: bool) -> Screened:
        assert agreement
        assert min(seeds) >= SCREEN_SEEDS
        assert len(seeds) == verify_rules()["screen"]["seeds"]
        self.asked += prompts
        model.calls += len(prompts) * len(seeds)
        known = {p.text: float(i) for i, p in enumerate(CONTROLS)} | self.magnitude
        values = np.array([known[p] for p in prompts], np.float32)
        return Screened(values, None, np.array([self.agreement.get(p, 0.0) for p in prompts], np.float32))


def screened(
    clusters: Sequence[Cluster], measured: Measured, monkeypatch: pytest.MonkeyPatch, folder: Path,
    controls: Sequence[Prompt] = CONTROLS,
) -> Any:  # fmt: skip
    monkeypatch.setattr("memaudit.verify.screen.screen", measured)
    journal = Journal(Audit(folder), "a" * 16)
    return screen_clusters(SimpleNamespace(calls=0), clusters, controls, 7, journal, Silent())  # type: ignore[arg-type]


def test_what_exceeds_the_controls_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clusters = [cluster(0, "high"), cluster(1, "low"), cluster(2, "agreeing")]
    measured = Measured({"high": 200.0, "low": 50.0, "agreeing": 1.0}, {"agreeing": 0.9})
    found = screened(clusters, measured, monkeypatch, tmp_path)
    assert found.passed == [clusters[0].fingerprint, clusters[2].fingerprint]
    assert found.audited == [clusters[1].fingerprint]
    assert found.seen(clusters[0].fingerprint)["magnitude_rank"] == 1
    assert found.seen(clusters[1].fingerprint)["magnitude_rank"] == 0.5
    assert found.threshold["magnitude"] == 95  # half of 10 % of controls lie above it, for one prompt
    assert "never asked" not in measured.asked


def test_many_prompts_do_not_pass_more_easily(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """97 exceeds the 95 % quantile of the controls, not the 99 % one that the largest of five must exceed."""
    one, five = cluster(0, "p0"), cluster(1, *(f"p{i}" for i in range(5)))
    found = screened([one, five], Measured({f"p{i}": 97.0 for i in range(5)}), monkeypatch, tmp_path)
    assert found.passed == [one.fingerprint]


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_is_not_cleared(place: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {"p0": 1.0, "p1": 1.0} | {f"p{place}": float("nan")}
    one = cluster(0, "p0", "p1")
    assert screened([one], Measured(values), monkeypatch, tmp_path).passed == [one.fingerprint]


def test_without_controls_everything_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = cluster(0, "low")
    found = screened([one], Measured({"low": 0.0}), monkeypatch, tmp_path, controls=[])
    assert (found.passed, found.controls) == ([one.fingerprint], 0)
    assert found.threshold["magnitude"] is None


def test_a_random_share_of_what_is_cleared_is_sampled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clusters = [cluster(i, f"p{i}") for i in range(200)]
    found = screened(clusters, Measured({f"p{i}": 1.0 for i in range(200)}), monkeypatch, tmp_path)
    assert not found.passed
    assert len(found.audited) == 200 * verify_rules()["screen"]["audit_share"]
    assert found.sampled == set(found.audited)
    few = screened(clusters[:2], Measured({"p0": 1.0, "p1": 1.0}), monkeypatch, tmp_path / "few")
    assert len(few.audited) == 2


def test_harmless_clusters_pass_as_often_as_the_rule_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    clusters = [cluster(i, *(f"p{i} {k}" for k in range(1 + i % 6))) for i in range(600)]
    values = {p.text: float(rng.uniform(0, 100)) for c in clusters for p in c.prompts}
    agreement = {name: float(rng.normal()) for name in [*values, *(p.text for p in CONTROLS)]}
    found = screened(clusters, Measured(values, agreement), monkeypatch, tmp_path)
    assert len(found.passed) / 600 < 1.6 * verify_rules()["screen"]["pass_share"]


def test_what_was_measured_is_not_measured_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clusters, again = [cluster(0, "high"), cluster(1, "low")], Measured({})
    first = screened(clusters, Measured({"high": 200.0, "low": 50.0}), monkeypatch, tmp_path)
    assert screened(clusters, again, monkeypatch, tmp_path) == first
    assert not again.asked


def test_without_a_screen_everything_is_sampled() -> None:
    found = everything([cluster(0, "a"), cluster(1, "b")])
    assert found.sampled == {f"{0:016x}", f"{1:016x}"}
    assert found.seen(f"{0:016x}") == {}
    assert found.audited == []
