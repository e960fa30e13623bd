"""How fast a page with many findings is: made, shown, filtered and sorted, in headless Chromium.

    python -m tests.bench.html_report AUDIT [--findings 5000]

The audit's own findings fill the table; where it has fewer, they are repeated with another name and number. Times in
the browser are those of its script and layout, from the event until the new rows stand, medians over the runs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memaudit.report.html import render
from memaudit.report.summary import summary
from memaudit.store import open_audit
from tests.bench.machine import machine, today
from tests.report.browser import browser, missing

if TYPE_CHECKING:
    from tests.report.browser import Page

RUNS = 15
_TIMED = """
const done = arguments[arguments.length - 1], start = performance.now();
%s
document.getElementById('rows').getBoundingClientRect();
const took = performance.now() - start;
done(took);
"""
_KEY = _TIMED % "const q = document.getElementById('q'); q.value = arguments[0]; q.dispatchEvent(new Event('input'));"
_SORT = _TIMED % "document.querySelector('th.c-' + arguments[0] + ' button').click();"
_SCROLL = """
const done = arguments[arguments.length - 1], start = performance.now();
scrollTo(0, arguments[0]);
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
"""
_READY = """
const paint = performance.getEntriesByName('first-contentful-paint')[0];
return [performance.getEntriesByName('memaudit-ready')[0].startTime, paint ? paint.startTime : null];
"""


def page_of(folder: str, findings: int) -> tuple[str, float, float]:
    """The page, and the seconds that the summary and the rendering took."""
    start = time.perf_counter()
    told = summary(open_audit(folder), 100, findings)
    made = time.perf_counter()
    rows = told["listing"]["rows"]
    told["listing"]["rows"] = [_again(rows[i % len(rows)], i) for i in range(findings)]
    text = render(told)
    return text, made - start, time.perf_counter() - made


def _again(row: dict[str, Any], i: int) -> dict[str, Any]:
    name = row["fingerprint"] if i < 1 else f"{i:016x}"
    return {**row, "fingerprint": name, "head": True, "representative": f"{row['representative']} {i}"}


def measure(page: Page, path: Path) -> dict[str, float]:
    """Milliseconds in the browser."""
    page.size(1440, 900)
    ready, paint = [], []
    for _ in range(5):
        page.open(path)
        done, first = page.script(_READY)
        ready.append(done)
        paint += [first] if first is not None else []
    keys = [page.driver.execute_async_script(_KEY, "red photo of"[: 1 + i % 12]) for i in range(RUNS)]
    page.driver.execute_async_script(_KEY, "")
    sorts = [page.driver.execute_async_script(_SORT, name) for name in ("text", "rows", "kind") * (RUNS // 3)]
    scrolls = [page.driver.execute_async_script(_SCROLL, 900 + 9000 * i) for i in range(RUNS)]
    return {
        "table ready": statistics.median(ready),
        "first paint": statistics.median(paint) if paint else float("nan"),
        "a keystroke of the filter": statistics.median(keys),
        "slowest keystroke": max(keys),
        "a sort": statistics.median(sorts),
        "slowest sort": max(sorts),
        "a scroll, with its frame": statistics.median(scrolls),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("audit")
    parser.add_argument("--findings", type=int, default=5000)
    asked = parser.parse_args()
    if missing():
        raise SystemExit(missing())
    text, told, rendered = page_of(asked.audit, asked.findings)
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        times = measure(page, path)
        size = path.stat().st_size
    print(f"{today()}, {machine()}")
    print(f"{asked.findings:,} findings, {size / 1e6:.2f} MB; summary {told:.2f} s, rendering {rendered:.2f} s")
    for name, value in times.items():
        print(f"{name:<26} {value:6.1f} ms")


if __name__ == "__main__":
    main()
