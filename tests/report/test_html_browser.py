"""The page in a browser: sort, filter, open, keyboard; nothing on the console, nothing on the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from memaudit.report import render_page
from memaudit.report.html import Gallery, Picture, render
from memaudit.report.summary import summary
from tests.report.browser import browser, needs_browser
from tests.report.synthetic import TOTALS, captions, clusters, write_audit
from tests.report.test_html import HOSTILE, hostile_audit
from tests.report.verified import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.report.browser import Page

pytestmark = needs_browser

DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)
SHAW, SOON, OAK, VARIANT, PHOTO = (
    *("3f9a21c07d5e4b18", "a07700000000beef", "a0771234567890ab", "5500000000000001", "77aa000000000002"),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    audit = verify(write_audit(folder / "audit", captions(), clusters(), TOTALS, "2 null"))
    path = folder / "report.html"
    told = summary(audit, 2, 5000)  # the third family has no card
    pictures = {s["path"]: Picture(DOT, 1, "M0 0L9 0L9 9Z") for c in told["cards"] for s in c["samples"]["shown"]}
    path.write_text(render(told, Gallery(pictures)), encoding="utf-8")
    return path


def opened(page: Page) -> str | None:
    """The fingerprint in the address, where the drawer is open."""
    return page.script(
        "return document.getElementById('drawer').open ? new URLSearchParams(location.hash.slice(1)).get('f') : null"
    )


def at_rest(page: Page) -> None:
    assert page.complaints() == []
    assert len(page.requests()) == 1  # the page itself


def many(tmp: Path, n: int) -> Path:
    """A page whose table holds n findings of different risk."""
    audit = write_audit(tmp / "audit", captions(), clusters(), TOTALS)
    told = summary(audit, 2, 5000)
    row = told["listing"]["rows"][0]
    row |= {"template": None, "head": True}
    told["listing"]["rows"] = [
        {**row, "fingerprint": f"{i:016x}", "representative": f"caption number {i}", "risk": 1 - i / n, "n_rows": i}
        for i in range(n)
    ]
    (tmp / "many.html").write_text(render(told), encoding="utf-8")
    return tmp / "many.html"


def test_the_table_is_there_and_sorts(page: Page, report: Path) -> None:
    page.size(1300)
    page.open(report)
    assert page.texts()[0].startswith("^ shaw floors")
    assert len(page.texts()) == 4  # of five, one is a variant
    assert page.one("th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert page.one("th[aria-sort]").text.startswith("risk")
    page.one("th.c-rows button").click()
    numbers = [int(cell.text) for cell in page.all("#rows td.c-rows")]
    assert numbers == sorted(numbers, reverse=True) and page.one("th.c-rows").get_attribute("aria-sort") == "descending"
    page.one("th.c-rows button").click()
    assert [int(cell.text) for cell in page.all("#rows td.c-rows")] == numbers[::-1]
    assert page.one("th.c-risk").get_attribute("aria-sort") is None
    assert "sort=rows%3Aup" in page.driver.current_url
    at_rest(page)


def test_filters_and_search(page: Page, report: Path) -> None:
    page.open(report)
    page.one("#variants").click()
    assert len(page.texts()) == 5
    page.one("input[name=kind][value=template]").click()
    assert len(page.texts()) == 3
    page.one("#suppressed").click()
    assert len(page.texts()) == 2
    page.one("#reset").click()
    assert len(page.texts()) == 4 and page.driver.current_url.endswith("report.html")
    page.one("#q").send_keys("SHAW floors")
    assert len(page.texts()) == 2  # a search finds variants
    assert "2 of 5 findings" in page.one("#told").text
    page.one("#q").clear()
    page.one("#q").send_keys("a0771234")
    assert page.texts() == ["Red oak side table with drawer"]
    page.one("#q").send_keys("zzz")
    assert page.texts() == [] and page.one("#nothing").is_displayed()
    page.one("#clear").click()
    page.script("document.getElementById('verdict').value = 'replicated'")
    page.script("document.getElementById('filters').dispatchEvent(new Event('change'))")
    assert len(page.texts()) == 2
    at_rest(page)


def test_a_link_opens_a_view_and_a_finding(page: Page, report: Path) -> None:
    page.open(report, f"#kind=exact,near&sort=risk:up&f={OAK}")
    assert opened(page) == OAK
    assert len(page.texts()) == 2 and page.texts()[0].startswith("Red oak")
    assert "memaudit show" in page.one("#drawer-body").text  # this one has no card
    page.open(report, "#f=__proto__&sort=constructor&kind=toString")
    assert opened(page) is None and len(page.texts()) == 4
    at_rest(page)


def test_a_card_shows_pictures_and_goes_back(page: Page, report: Path) -> None:
    page.open(report)
    page.all("#rows a")[0].click()
    assert opened(page) == SHAW
    shown = page.one("#drawer-body")
    assert "template: 9 of 16 samples copy" in shown.text and "Thin the family" in shown.text
    assert page.script("return [...document.querySelectorAll('#drawer img')].every(i => i.naturalWidth === 1)")
    assert len(page.all("#drawer .frame svg path")) == 12  # six pictures, each a line and its halo
    page.one("#following").click()
    assert opened(page) == SOON
    page.one("#close").click()
    assert opened(page) is None
    assert page.script("return document.querySelectorAll('#cards .card').length") == 2
    at_rest(page)


def test_the_keyboard_reaches_all(page: Page, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open(report)
    page.one("body").send_keys("/")
    assert page.script("return document.activeElement.id") == "q"
    page.keys("a07", Keys.ARROW_DOWN)
    assert page.script("return document.activeElement.closest('tr').dataset.at") == "0"
    page.keys(Keys.ARROW_DOWN)
    assert page.script("return document.activeElement.closest('tr').dataset.at") == "1"
    page.keys(Keys.HOME)
    page.keys(Keys.ENTER)
    assert opened(page) == SOON
    page.keys("j")
    assert opened(page) == OAK
    page.keys("k", Keys.ESCAPE)
    assert opened(page) is None
    assert page.script("return document.activeElement.closest('tr').dataset.at") == "0"
    page.keys(Keys.ARROW_UP)
    assert page.script("return document.activeElement.id") == "q"
    page.keys(Keys.ESCAPE)
    assert page.one("#q").get_attribute("value") == "" and len(page.texts()) == 4
    outline = page.script(
        "document.querySelector('#rows a').focus(); return getComputedStyle(document.activeElement).outlineStyle"
    )
    assert outline != "none"
    at_rest(page)


def test_few_rows_exist_of_many_and_all_are_reached(page: Page, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.size(1300)
    page.open(many(tmp_path, 5000))
    assert 0 < len(page.texts()) < 80
    assert page.one("#table").get_attribute("aria-rowcount") == "5001"
    page.one("#rows a").send_keys(Keys.END)
    assert page.script("return document.activeElement.textContent") == "caption number 4999"
    assert page.script("return document.activeElement.closest('tr').getAttribute('aria-rowindex')") == "5001"
    box = page.script("const b = document.activeElement.getBoundingClientRect(); return [b.top, b.bottom, innerHeight]")
    assert 0 < box[0] < box[1] < box[2]
    page.one("#q").send_keys("number 4321")
    assert page.texts() == ["caption number 4321"]
    page.script("history.replaceState(null, '', '#q='); dispatchEvent(new HashChangeEvent('hashchange'))")
    page.size(360, 700)
    page.script("scrollTo(0, document.body.scrollHeight / 2)")
    page.script("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert 0 < len(page.texts()) < 80
    tall = page.script("return [...document.querySelectorAll('#rows tr[data-at]')].map(r => r.offsetHeight)")
    assert set(tall) == {78}  # what the windowing counts on
    at_rest(page)


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_page_is_wider_than_its_window(page: Page, report: Path, width: int) -> None:
    page.size(width)
    for part in ("", f"#f={SHAW}"):
        page.open(report, part)
        assert page.script("return document.documentElement.scrollWidth <= innerWidth")
        assert page.script("const d = document.getElementById('drawer-body'); return d.scrollWidth <= d.clientWidth")
    page.size(1300)


def test_themes(page: Page, report: Path) -> None:
    def background() -> Any:
        return page.script("return getComputedStyle(document.body).backgroundColor")

    page.open(report)
    page.dark(False)
    light = background()
    page.dark(True)
    assert background() != light
    page.one("#theme").click()
    assert page.one("#theme").text == "Theme: light" and background() == light
    page.open(report)
    assert page.one("#theme").text == "Theme: light"  # remembered
    page.one("#theme").click()
    page.one("#theme").click()
    assert page.one("#theme").text == "Theme: auto"
    page.dark(False)
    at_rest(page)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_captions_are_text(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    evil = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    for redact in (False, True):
        path = tmp_path / f"{redact}.html"
        path.write_text(render_page(hostile_audit(tmp_path, evil), redact=redact), encoding="utf-8")
        page.open(path, "#f=00000000000000aa")
        assert opened(page) == "00000000000000aa"
        assert page.driver.title == ("memaudit" if redact else "audit · memaudit")
        assert (
            page.script(
                "return document.images.length + document.querySelectorAll('b:not(summary b, .legend b)').length"
            )
            == 0
        )
        assert page.script("return document.documentElement.scrollWidth <= innerWidth")
        at_rest(page)
    rows = page.script("return JSON.parse(document.getElementById('data').textContent).rows")
    assert json.loads(json.dumps(rows)) == rows and len(rows) == 2


def test_without_scripts_the_cards_are_there(report: Path) -> None:
    with browser(scripts=False) as page:
        page.open(report)
        assert page.one("#overview").is_displayed() and not page.one("#browser").is_displayed()
        cards = page.all("#cards .card")
        assert len(cards) == 2 and all(card.is_displayed() for card in cards)
        assert "Thin the family" in cards[0].text  # the first is open
        cards[1].find_element("css selector", "summary").click()
        assert "Keep one row per picture" in cards[1].text
        at_rest(page)


def test_print_shows_every_card(page: Page, report: Path) -> None:
    page.open(report)
    page.script("dispatchEvent(new Event('beforeprint'))")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert all(card.is_displayed() for card in page.all("#cards .body"))
    assert not page.one("#browser").is_displayed()
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.script("dispatchEvent(new Event('afterprint'))")
    assert page.script("return document.querySelectorAll('#cards details[open]').length") == 1
