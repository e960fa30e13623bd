"""The page as text: it loads nothing, no caption gets out of its place, a redacted one tells no word."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memaudit.cli import main
from memaudit.report import render_page, render_report
from memaudit.report.html import Gallery, Picture, render
from memaudit.report.html.pictures import Embedder
from memaudit.report.html.safe import clipped, pieces
from memaudit.report.redaction import BLOCK, redacted, veiled, veiled_template
from memaudit.report.summary import summary
from tests.report.synthetic import SHAW, TOTALS, Cluster, captions, clusters, write_audit
from tests.report.verified import RUN, verdict, verdicts, verify

if TYPE_CHECKING:
    from pathlib import Path

    from memaudit.store import Audit

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
HOSTILE = {
    "script": "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
    "closers": "</style></script></textarea><!-- --><![CDATA[",
    "quotes": '"quoted" \'single\' `tick` &amp; &#60; onmouseover="x"',
    "bidi": "photo \u202egnp.exe\u2066 and \u05e9\u05dc\u05d5\u05dd more",
    "emoji": "👩‍👩‍👧‍👦 family 🏳️‍🌈 on a beach",
    "huge": "word " * 20_000,
    "controls": "zero\x00byte \x1b[2J bell\x07 \x85 line\u2028feed",
    "jinja": "{{ 7 * 7 }} {% for x in y %} {# gone #} ${7*7}",
    "proto": "__proto__ constructor toString",
    "markup": "&lt;b&gt; <b>bold</b> <!doctype html>",
}


class Seen(HTMLParser):
    """Tags with their attributes, and the text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]].append(data)
        else:
            self.text += data


def data_of(page: str) -> Any:
    return json.loads(Seen(page).raw["script"][1])


def hostile_audit(folder: Path, evil: str) -> Audit:
    found = [
        Cluster("exact", [evil], "high", 0.5, "00000000000000aa", triggers=[([evil], 1.0, 1.0, 1)]),
        Cluster(
            "template", [evil + " 1", evil + " 2"], "low", 0.3, "00000000000000bb", "TE01", template=f"^ {evil} <*>",
            slots=[{"type": evil, "distinct": 1, "values": [evil], "counts": [2]}], suppressed=True, reason=evil,
        ),
    ]  # fmt: skip
    audit = write_audit(folder / "audit", [evil, evil, evil + " 1", evil + " 2"], found, {"skipped": {evil: 3}})
    audit.manifest["tool"], audit.manifest["bad_files"] = evil, [[evil, evil]]
    audit.manifest["config"] = {evil: evil}
    return audit


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_captions_stay_text(here: Path, name: str) -> None:
    evil = HOSTILE[name]
    (here / "plain").mkdir()
    page = render_page(hostile_audit(here, evil))
    harmless = render_page(hostile_audit(here / "plain", "a plain caption of no harm"))
    seen, plain = Seen(page), Seen(harmless)
    if name != "huge":  # of which the template's slot is cut off
        assert [tag for tag, _ in seen.tags if tag != "wbr"] == [tag for tag, _ in plain.tags if tag != "wbr"]
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in plain.tags} | {"wbr"}
    assert seen.raw["script"][::2] == plain.raw["script"][::2] and len(seen.raw["script"]) == 3
    assert all(c.isprintable() or c in "\n\u200c\u200d" for c in page)
    assert len(page) < 120_000 + len(harmless)
    assert clipped(evil)[:200] in re.sub(r"\s+", " ", seen.text)
    assert data_of(page)["rows"][0][4] == clipped(evil, 240)


def test_a_cut_caption_tells_its_length() -> None:
    assert clipped("ab " * 50_000, 10) == "ab ab ab a … (150,000 characters)"
    assert clipped("", 10) == clipped(None) == ""


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6))
def test_the_json_block_holds_any_text(texts: list[str]) -> None:
    from memaudit.report.html.page import _data

    row = dict.fromkeys(("kind", "severity", "risk", "n_rows", "n_texts", "n_images", "n_domains", "verdict", "rate"))
    row |= dict.fromkeys(("suppressed", "head", "variants"), 0) | {"rule": "EX01", "cluster_id": 1, "template": None}
    rows = [{**row, "fingerprint": str(i), "representative": text} for i, text in enumerate(texts)]
    block = str(_data({"listing": {"rows": rows, "total": 1}, "folder": texts[0]}, set()))
    assert "<" not in block and ">" not in block and "&" not in block
    assert [line[4] for line in json.loads(block)["rows"]] == [clipped(text, 240) for text in texts]


def test_the_page_loads_nothing(verified_audit: Audit) -> None:
    pictures = Gallery({s["path"]: Picture(PNG) for s in samples_of(verified_audit)})
    page = render_page(verified_audit, pictures=lambda _: pictures)
    seen = Seen(page)
    for tag, attributes in seen.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            if (value := attributes.get(name)) is not None:
                assert value.startswith("data:image/png;base64," if tag == "img" else "#"), (tag, value)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "img" in {tag for tag, _ in seen.tags}
    for css in seen.raw["style"]:
        assert "url(" not in css and "@import" not in css and "@font-face" not in css
    js = "".join(seen.raw["script"][::2])
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "fetch(", "XMLHttp", "import("):
        assert word not in js


def test_the_policy_names_exactly_the_styles_and_scripts(audit: Audit) -> None:
    seen = Seen(render_page(audit))
    policy = next(a["content"] for tag, a in seen.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    assert re.findall(r"style-src 'sha256-([^']+)'", policy) == [digest("".join(seen.raw["style"]))]
    allowed = re.findall(r"'sha256-([^']+)'", policy.partition("script-src")[2])
    assert allowed == [digest(script) for script in seen.raw["script"][::2]]
    assert "unsafe" not in policy and "http" not in policy


def test_the_same_audit_gives_the_same_bytes(verified_audit: Audit) -> None:
    assert render_page(verified_audit) == render_report(verified_audit, "html")


def samples_of(audit: Audit) -> list[dict[str, Any]]:
    return [sample for card in summary(audit, 20, 100)["cards"] for sample in card["samples"]["shown"]]


def test_the_page_tells_what_the_summary_tells(verified_audit: Audit) -> None:
    told = summary(verified_audit, 20, 5000)
    page = render(told)
    text = re.sub(r"\s+", " ", Seen(page).text)
    for part in (
        "15 of 16 rows", "5 findings in 4 families", "Of 3 that were sampled, 2 replicate", "critical 1",
        "unverified 0", "stock photo page furniture", "shaw floors", "template: 9 of 16 samples copy (31 to 78 %)",
        "runs/pilot", "pictures/shaw-17.jpg", "similarity 0.91", "Shaw Floors Sleek III 15' Pewter 00702_5E267",
        "https://shop.example/7.jpg", "shop.example (4)", "solidify 2", "Thin the family", "seed 100",
        "Skipped: 2 null, 1 without words.", "reference model",
    ):  # fmt: skip
        assert part in text, part
    assert [one["fingerprint"] for one in told["cards"]] == [
        a["data-fingerprint"] for _, a in Seen(page).tags if "data-fingerprint" in a
    ]
    rows = {row[0]: row for row in data_of(page)["rows"]}
    assert len(rows) == 5  # every finding, the variant 5500… among them
    assert rows["5500000000000001"][12] == 0 and rows["3f9a21c07d5e4b18"][13] == 1
    assert rows["77aa000000000002"][11] == 1 and list(rows)[-1] == "77aa000000000002"


def test_a_variant_that_a_model_copies_has_a_card(audit: Audit) -> None:
    from tests.report.verified import sampled

    verify(audit, [sampled("5500000000000001", "verbatim", 4, 4, 0.3, 1.0)], pictures=[])
    told = summary(audit, 1, 5000)
    assert [card["fingerprint"] for card in told["cards"]] == ["3f9a21c07d5e4b18", "5500000000000001"]


def test_a_table_that_is_too_long_keeps_heads_and_copies(audit: Audit) -> None:
    told = summary(audit, 1, 4)
    assert told["listing"]["total"] == 5
    assert "5500000000000001" not in {row["fingerprint"] for row in told["listing"]["rows"]}
    assert "4 of 5 findings" in re.sub(r"\s+", " ", Seen(render(told)).text)


def test_without_findings(empty_audit: Audit) -> None:
    text = re.sub(r"\s+", " ", Seen(render_page(empty_audit)).text)
    assert "No findings" in text and "not the same as safe" in text


def test_a_summary_of_another_format_is_refused(audit: Audit) -> None:
    with pytest.raises(ValueError, match="it lacks overview"):
        render(summary(audit))


def test_templates_in_pieces() -> None:
    slots = [{"type": "colour"}, {"type": "text"}]
    shown = pieces("^ red <*> oak \\<b> <num> <*> table $", slots)
    assert [(p["kind"], p["text"], p["says"]) for p in shown] == [
        ("end", "^", "the caption begins here"), ("word", "red", ""), ("slot", "*", "colour"), ("word", "oak <b>", ""),
        ("slot", "num", "number"), ("slot", "*", "any words"), ("word", "table", ""),
        ("end", "$", "the caption ends here"),
    ]  # fmt: skip
    assert pieces("word " * 1000, [], 20)[-1]["text"] == "… (5,000 characters)"


# Pictures


def test_only_pictures_are_embedded_and_not_too_many() -> None:
    embed = Embedder(most_each=100, most_all=150)
    jpeg = b"\xff\xd8\xff" + b"x" * 90
    assert embed.uri(Picture(PNG)) == "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert embed.uri(Picture(jpeg)).startswith("data:image/jpeg;base64,")
    for data in (b"<svg onload=alert(1)>", b"GIF89a", b"", PNG + b"x" * 200, jpeg):  # the last: the page is full
        assert embed.uri(Picture(data)) == ""
    assert embed.refused == 5
    assert embed.uri(None) == "" and embed.refused == 5


# Redaction

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
SWAPPED = str.maketrans(LETTERS, LETTERS[1:26] + "a" + LETTERS[27:] + "A")


def swapped(found: list[Cluster]) -> list[Cluster]:
    """The same clusters in other words."""

    def words(text: str) -> str:
        return " ".join(w if re.fullmatch(r"<\w+>|<\*>", w) else w.translate(SWAPPED) for w in text.split(" "))

    return [
        Cluster(
            c.kind, [words(t) for t in c.texts], c.severity, c.risk, c.fingerprint, c.rule, c.features,
            c.template and words(c.template),
            [{**s, "values": [words(v) for v in s["values"]]} for s in c.slots],
            [([words(w) for w in t], *rest) for t, *rest in c.triggers], c.family, c.n_domains, c.suppressed,
            c.reason and words(c.reason),
        )
        for c in found
    ]  # fmt: skip


def test_a_redacted_page_depends_on_no_word(here: Path) -> None:
    pages = []
    for folder, change in (("one", False), ("two", True)):
        (here / folder).mkdir()
        rows = [c.translate(SWAPPED) if change else c for c in captions()]
        found = swapped(clusters()) if change else clusters()
        audit = write_audit(here / folder / "audit", rows, found, TOTALS, "2 null, 1 without words")
        verify(audit, [{**row, "model": folder} for row in verdicts()], [{**RUN, "model": folder}])
        pages.append(render_page(audit, redact=True))
    assert pages[0] == pages[1]
    assert BLOCK in pages[0]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("qxzjvkw", min_size=4, max_size=12), min_size=2, max_size=6))
def test_a_redacted_page_tells_no_word(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    folder = tmp_path_factory.mktemp(words[0])
    evil = " ".join(words)
    audit = hostile_audit(folder, evil)
    rows = [{"fingerprint": "00000000000000aa", "model": evil, "prompt_kind": "caption", "prompt": evil, "seed": 1,
             "path": evil, "copied": "verbatim", "distance": 0.1, "nearest_image": evil}]  # fmt: skip
    weights = [{"word": word, "weight": 1.0} for word in words]
    told = verdict("00000000000000aa", "error", model=evil, why=evil, nearest_image=evil, word_weights=weights)
    run = {**RUN, "model": evil, "notes": [evil], "reference_model": evil, "scheduler": evil, "device": evil}
    verify(audit, [told], [run], rows)
    page = render_page(audit, redact=True).lower()
    assert not [word for word in words if word.lower() in page]
    assert not [word for word in words if word.lower() not in render_page(audit).lower()]
    assert str(folder).lower() not in page and "captions.csv" not in page and "shop.example" not in page
    assert "id-0" not in page


def test_the_shape_of_texts() -> None:
    assert veiled("Shaw Floors,  III") == "▇▇▇▇ ▇▇▇▇▇▇▇ ▇▇▇"
    assert veiled("x" * 99) == "▇" * 12
    assert veiled("a " * 50).endswith("▇ …")
    assert veiled_template("^ shaw <*> \\<num> <num> $") == "^ ▇▇▇▇ <*> ▇▇▇▇▇▇ <num> $"


def test_redaction_keeps_the_counts(verified_audit: Audit) -> None:
    told = summary(verified_audit, 20, 5000)
    shown = redacted(told)
    assert shown.keys() == told.keys()
    for key in ("counts", "repeats", "totals"):
        assert shown[key] == told[key]
    assert [(c["fingerprint"], c["risk"], c["verdict"]) for c in shown["cards"]] == [
        (c["fingerprint"], c["risk"], c["verdict"]) for c in told["cards"]
    ]
    assert SHAW[0] not in json.dumps(shown)


# The command


def run(*words: str) -> Any:
    return CliRunner().invoke(main, ["report", *words])


def test_the_command_writes_a_page(verified_audit: Audit) -> None:
    for words in (["-f", "html", "-o", "a.html"], ["-o", "b.html"]):
        assert run("audit", *words).exit_code == 0
    from pathlib import Path

    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()
    assert Path("a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("audit", "-f", "html").stdout.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--redact"], "are for html"),
        (["-f", "md", "--pictures"], "are for html"),
        (["-f", "html", "--redact", "--pictures"], "exclude each other"),
        (["-f", "html", "--image-root", "x"], "are for --pictures"),
    ],
)
def test_options_that_do_not_go_together(audit: Audit, words: list[str], said: str) -> None:
    result = run("audit", *words)
    assert result.exit_code == 2 and said in result.stderr
