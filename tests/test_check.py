"""What matches: members by key and by Jaccard against brute force, templates, triggers; and two roads that agree."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.check import plain
from memaudit.check.build import build
from memaudit.check.guard import Guard
from memaudit.check.rules import EXACT, KINDS, LEAST_BITS, NEAR, PARTIAL, SHARED, TEMPLATE, TRIGGER, UNITS
from memaudit.check.words import bigram, shingles, streams
from memaudit.detect.minhash import bigram as compiled_bigram
from memaudit.originals import Originals
from memaudit.ragged import offsets_of
from memaudit.schemas import SEVERITIES
from memaudit.text.lexer import lex_buffers
from memaudit.text.reference import lex
from memaudit.verdicts import judged
from tests.bench.prompt_edits import EDITS

if TYPE_CHECKING:
    from memaudit.check.index import Index
    from memaudit.check.rules import Hit
    from memaudit.store import Audit

ODD = [
    *(b"", b"   ", b"\x00", b"\x00a\x00b c\x00", b"\xff\xfe\xfd", b"caf\xe9 table", b"12 345 6789", b"a"),
    *("山水 木火土 金日月人".encode(), "ﷺ İstanbul ①②③ ﬁne".encode(), "e\u0301te\u0301".encode()),
    *(b"&eacute;t&eacute; <b>sale</b> &#60;i&#62;", b"15' x 8 III 00708_Q4311", b"word " * 700),
    *(b"x" * 100_000, " ".join(map(str, range(20_000))).encode()),
]


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Repeats of every kind among ordinary captions, small enough for brute force."""
    from memaudit.audit import scan
    from memaudit.config import ScanConfig
    from tests.conftest import SAMPLE

    folder = tmp_path_factory.mktemp("check")
    rows = pl.read_parquet(SAMPLE / "part-0.parquet").head(2500)
    rows.write_parquet(folder / "captions.parquet")
    return scan([str(folder / "captions.parquet")], folder / "audit", ScanConfig()).audit


@pytest.fixture(scope="module")
def index(audit: Audit) -> Index:
    return build(audit).index


@pytest.fixture(scope="module")
def guard(audit: Audit) -> Guard:
    return Guard(audit)


@pytest.fixture(scope="module")
def members(audit: Audit) -> dict[int, list[str]]:
    """Captions by cluster of a finding, as they stand in the data."""
    found = audit.frame("findings").select("cluster_id")
    texts = audit.frame("texts").select("text_id", "file", "row", "column")
    rows = audit.frame("clusters").join(found, on="cluster_id", how="semi").join(texts, on="text_id").sort("row")
    read = Originals(audit).read(0, rows["row"].to_numpy(), rows["column"].to_numpy())
    frame = rows.select("cluster_id").with_columns(caption=read.captions)
    return dict(frame.group_by("cluster_id").agg("caption").iter_rows())


def edited(members: dict[int, list[str]], n: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    captions = sorted({caption for own in members.values() for caption in own})
    return [edit(c, chance) for edit in EDITS.values() for c in chance.sample(captions, n)]


def compiled(guard: Guard, prompts: list[bytes]) -> list[list[Hit]]:
    return [list(map(tuple, found)) for found in guard.hits(prompts)]  # type: ignore[misc]


# --- the lexer's numbers without the lexer


def agree(prompts: list[bytes]) -> None:
    lexed = lex_buffers(np.frombuffer(b"".join(prompts) or b" ", np.uint8), offsets_of(np.array([*map(len, prompts)])))
    for i, prompt in enumerate(prompts):
        cut = streams(prompt)
        assert cut.words == lexed.words[lexed.word_at[i] : lexed.word_at[i + 1]].tolist()
        assert cut.tokens == lexed.tokens[lexed.token_at[i] : lexed.token_at[i + 1]].tolist()
        assert (cut.key_lo, cut.key_hi) == (lexed.key_lo[i], lexed.key_hi[i])


@given(st.lists(st.text(max_size=60).map(str.encode) | st.binary(max_size=60), max_size=5))
def test_streams_are_the_lexers(prompts: list[bytes]) -> None:
    agree(prompts)


def test_streams_of_odd_prompts_are_the_lexers() -> None:
    agree(ODD)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_pairs_hash_as_in_a_scan(first: int, second: int) -> None:
    assert bigram(first, second) == compiled_bigram(np.uint32(first), np.uint32(second))


# --- two roads


def test_both_roads_agree(index: Index, guard: Guard, members: dict[int, list[str]]) -> None:
    prompts = [prompt.encode() for prompt in edited(members, 25, 1)] + ODD[:-2]
    found = compiled(guard, prompts)
    assert found == [[tuple(hit) for hit in plain.match(index, prompt, 0.7)] for prompt in prompts]
    kinds = {hit[1] for own in found for hit in own}
    assert kinds == set(range(len(KINDS)))  # all of them are compared


def test_odd_prompts_are_answered(guard: Guard) -> None:
    assert len(guard.check_many(ODD)) == len(ODD)
    assert guard.check("") is None
    assert guard.check("\udcff lone surrogate") is None


# --- members


def test_every_member_is_an_exact_match_of_its_findings(
    index: Index, guard: Guard, members: dict[int, list[str]]
) -> None:
    wanted: dict[str, set[int]] = {}
    shown: dict[str, str] = {}
    for cluster, captions in members.items():
        for caption in captions:
            words = " ".join(lex(caption.encode()).words)
            wanted.setdefault(words, set()).add(cluster)
            shown[words] = f"  {caption} !"
    for words, hits in zip(wanted, compiled(guard, [shown[words].encode() for words in wanted]), strict=True):
        exact = {index.finding(hit[0])["cluster_id"] for hit in hits if hit[1] == EXACT}
        assert exact == wanted[words]


def _sets(caption: str) -> frozenset[str | tuple[str, str]]:
    """Words and pairs of neighbours; none of captions of one or two words."""
    words = lex(caption.encode()).words
    return frozenset([*words, *pairwise(words)]) if len(words) >= 3 else frozenset()


def test_near_is_what_brute_force_finds(index: Index, guard: Guard, members: dict[int, list[str]]) -> None:
    prompts = edited(members, 8, 2)
    owned = [(cluster, _sets(caption)) for cluster, captions in members.items() for caption in captions]
    cluster_of = [index.finding(k)["cluster_id"] for k in range(len(index.severity))]
    n_near = 0
    for prompt, hits in zip(prompts, compiled(guard, [p.encode() for p in prompts]), strict=True):
        own, best = _sets(prompt), dict[int, float]()
        for cluster, other in owned:
            jaccard = len(own & other) / (len(own | other) or 1)
            if jaccard >= 0.7:
                best[cluster] = max(jaccard, best.get(cluster, 0.0))
        found = {cluster_of[hit[0]]: hit for hit in hits if hit[1] in (EXACT, NEAR)}
        assert {c for c, hit in found.items() if hit[1] == NEAR or own} == best.keys(), prompt
        assert all(found[c][2] == pytest.approx(best[c]) for c in best if found[c][1] == NEAR)
        n_near += sum(hit[1] == NEAR for hit in found.values())
    assert n_near > 100


def test_partial_shares_what_it_says(index: Index, guard: Guard, members: dict[int, list[str]]) -> None:
    prompts = [prompt.encode() for prompt in edited(members, 12, 3)]
    texts = {streams(c.encode()).key_lo: streams(c.encode()) for own in members.values() for c in own}
    n = 0
    for prompt, hits in zip(prompts, compiled(guard, prompts), strict=True):
        for hit in hits:
            if hit[1] != PARTIAL:
                continue
            n += 1
            own = set(streams(prompt).words)
            other = set(texts[int(index.key_lo[hit[3]])].words)
            bits = {w: information(index, w) for w in own | other}
            shared = sum(bits[w] for w in own & other)
            assert shared >= LEAST_BITS * UNITS
            smaller = min(sum(bits[w] for w in side) for side in (own, other))
            assert hit[2] == pytest.approx(shared / smaller)
            assert hit[2] >= SHARED
    assert n > 50


def information(index: Index, word: int) -> int:
    at = plain.find(index.sh_start, index.sh_hash, word)
    return int(index.unknown[0] if at < 0 else index.sh_weight[at])


def test_shingles_are_distinct() -> None:
    words = streams(b"a b a b a").words
    assert sorted(shingles(words)) == sorted({*words, bigram(*words[:2]), bigram(*words[1:3])})


# --- templates and triggers


def framed(audit: Audit) -> pl.DataFrame:
    """Templates whose findings are severe enough to be looked for."""
    severe = judged(audit).findings.filter(pl.col("severity") >= SEVERITIES[1])
    return audit.frame("templates").join(severe.select("cluster_id", "fingerprint"), on="cluster_id")


def test_every_member_stands_in_its_template(audit: Audit, index: Index, members: dict[int, list[str]]) -> None:
    rank = {index.finding(k)["cluster_id"]: k for k in range(len(index.severity))}
    templates = framed(audit)
    assert len(templates) > 20
    for cluster in templates["cluster_id"].to_list():
        for caption in members[cluster]:
            found = {hit.finding for hit in plain._templates(index, streams(caption.encode()))}
            assert rank[cluster] in found, caption


def test_unseen_values_match_the_template(audit: Audit, guard: Guard) -> None:
    shapes = {"<num>": "77", "<size>": "19cm", "<roman>": "iv", "<code>": "77183_Q9", "^": "", "$": ""}
    values = ["zzyx quorl", "", "brimvale", "one two three four five"]
    chance = random.Random(4)
    for template, fingerprint in framed(audit).select("template", "fingerprint").iter_rows():
        tokens = [chance.choice(values) if t == "<*>" else shapes.get(t, t) for t in template.split(" ")]
        prompt = f"masterpiece {' '.join(tokens)} trending"
        hits = next(guard.hits([prompt.encode()]))
        named = {guard.answers._of(hit).told["fingerprint"]: KINDS[hit[1]] for hit in hits}
        assert fingerprint in named, prompt
        assert named[fingerprint] in ("template", "partial", "near", "exact")


def test_a_template_needs_its_runs_in_order() -> None:
    assert plain.holds([1, 2, 9, 3], [1, 2, 3], [2, 3, 3])
    assert plain.holds([1, 1, 2], [1, 2], [2, 2, 2])
    assert not plain.holds([3, 1, 2], [1, 2, 3], [2, 3, 3])
    assert not plain.holds([1, 2], [1, 2, 2], [2, 3, 3])  # no overlap
    assert not plain.holds([], [1], [1, 1, 1])


def test_trigger_words_match_their_finding(audit: Audit, guard: Guard) -> None:
    severe = judged(audit).findings.filter(pl.col("severity") >= SEVERITIES[1])
    rows = audit.frame("triggers").join(severe.select("cluster_id", "fingerprint"), on="cluster_id")
    assert len(rows) > 20
    by_trigger = 0
    for words, purity, fingerprint in rows.select("words", "purity", "fingerprint").iter_rows():
        prompt = " ".join("quorl" if word == "<*>" else word for word in words)
        hits = {guard.answers._of(hit).told["fingerprint"]: hit for hit in next(guard.hits([prompt.encode()]))}
        assert fingerprint in hits, prompt
        if hits[fingerprint][1] == TRIGGER:
            by_trigger += 1
            assert guard.answers._of(hits[fingerprint]).told["purity"] <= 1
            assert purity <= 1
    assert by_trigger > 10


# --- order and filters


def test_the_worst_finding_comes_first(guard: Guard, index: Index, members: dict[int, list[str]]) -> None:
    risks = [(index.severity[k], index.finding(k)["risk"]) for k in range(len(index.severity))]
    assert risks == sorted(risks, reverse=True)  # no verdicts here: by severity, then risk
    for match in guard.check_many(edited(members, 3, 5)):
        if match is not None:
            order = [(SEVERITIES.index(one.severity), one.risk) for one in (match, *match.others)]
            assert order == sorted(order, reverse=True)


def test_findings_below_the_severity_do_not_count(audit: Audit, guard: Guard, members: dict[int, list[str]]) -> None:
    prompts = edited(members, 3, 6)
    severe = Guard(audit, min_severity="medium")
    for prompt, every, few in zip(prompts, guard.check_many(prompts), severe.check_many(prompts), strict=True):
        severities = [] if every is None else [every.severity, *(other.severity for other in every.others)]
        if few is not None:
            assert few.severity in SEVERITIES[2:], prompt
            assert few.fingerprint == (every and every.fingerprint)
        else:
            assert not set(severities) & set(SEVERITIES[2:])


def test_templates_of_the_info_band_are_not_looked_for(index: Index) -> None:
    assert (index.severity[index.fr_finding] >= 1).all()
    assert (index.severity[index.tr_finding] >= 1).all()
    assert (index.severity == 0).any()


def test_kinds_are_in_order_of_closeness() -> None:
    assert [KINDS[k] for k in (EXACT, NEAR, PARTIAL, TEMPLATE, TRIGGER)] == list(KINDS)
