"""Captions that repeat nothing, like those of the clusters in all else: what a model does with them is chance."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from memaudit.verify.captions import PLACE, read_captions, script
from memaudit.verify.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memaudit.store import Audit
    from memaudit.verify.prompts import Cluster

BINS = 5  # lengths are matched by so many quantiles
DRAWN = 64  # texts looked up per control that is wanted, and at least LEAST_DRAWN
LEAST_DRAWN = 20_000
READ = 4  # captions read back per control that is wanted
ROUNDS = 3  # of reading, where too few captions of a script were among those read


def matched_controls(audit: Audit, clusters: Sequence[Cluster], n: int, seed: int) -> list[Prompt]:
    """Up to `n` captions of the dataset that occur once and are in no cluster, as prompts of kind "control"; in a
    dataset that has fewer, also captions whose only clusters are templates of the info band.

    They are matched to the captions of `clusters` by script and by length in words (`BINS` quantiles): as many of each
    kind as the clusters have in proportion; where one runs out, the next in length of any script that the clusters have
    fill in. Each once, in random order, so that the first k of them are a fair sample too. Fewer than `n` where no more
    are found; none without clusters. Only samples are looked at: `DRAWN` texts a control are looked up in a pass over
    TEXTS and CLUSTERS (in a second one all, where nearly everything repeats), and up to `READ` * `ROUNDS` captions a
    control are read back. Raises BadInput as `captions.read_captions`.
    """
    texts = [(prompt.text_id, prompt.text) for c in clusters for prompt in c.prompts if prompt.text_id is not None]
    if not texts or n < 1:
        return []
    lengths = _lengths(audit, [text_id for text_id, _ in texts])
    edges = np.unique(np.quantile(list(lengths.values()), np.arange(1, BINS) / BINS))
    like = Counter((script(text), int(np.searchsorted(edges, lengths[i]))) for i, text in texts)
    wanted = _shares(like, n)
    rng = np.random.default_rng(seed)
    found = _read_some(audit, _candidates(audit, n, rng), edges, wanted, n)
    chosen = _matched(found, wanted, n)
    return [chosen[i] for i in rng.permutation(len(chosen)).tolist()]


def _lengths(audit: Audit, ids: Sequence[int]) -> dict[int, int]:
    wanted = pl.Series(ids, dtype=pl.UInt32).unique()
    query = audit.scan("texts").filter(pl.col("text_id").is_in(wanted.implode())).select("text_id", "n_words")
    return dict(audit.collect(query, "texts", engine="streaming").iter_rows())


def _shares(like: Mapping[tuple[str, int], int], n: int) -> dict[tuple[str, int], int]:
    """`n` parted in proportion to the counts, the largest remainders rounded up."""
    total = sum(like.values())
    exact = {cell: n * count / total for cell, count in like.items()}
    out = {cell: int(share) for cell, share in exact.items()}
    for cell in sorted(exact, key=lambda cell: (out[cell] - exact[cell], cell))[: n - sum(out.values())]:
        out[cell] += 1
    return out


def _candidates(audit: Audit, n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Texts that may be controls (`PLACE` and n_words), in random order."""
    n_texts = audit.collect(audit.scan("texts").select(pl.len()), "texts", engine="streaming").item()
    drawn = max(LEAST_DRAWN, DRAWN * n)
    ids = None if drawn >= n_texts else np.sort(rng.choice(n_texts, drawn, replace=False, shuffle=False))
    found = _alone(audit, ids)
    if ids is not None and len(found) < READ * n:  # nearly everything repeats
        found = _alone(audit, None)
    if len(found) < n:
        found = _alone(audit, None, beside_phrases=True)
    found = found.sort("text_id")
    return found[rng.permutation(len(found))]


def _alone(audit: Audit, ids: np.ndarray | None, beside_phrases: bool = False) -> pl.DataFrame:
    """Texts of one row that are in no cluster, among `ids` (None: among all). beside_phrases: templates without a
    finding above the info band, half of a language's phrases, do not count as clusters."""
    texts, clusters = audit.scan("texts"), audit.scan("clusters")
    if beside_phrases:
        above = audit.scan("findings").filter(pl.col("severity") != "info").select("cluster_id", listed=True)
        clusters = clusters.join(above, on="cluster_id", how="left")
        clusters = clusters.filter((pl.col("kind") != "template") | pl.col("listed"))
    clustered = clusters.select("text_id")
    if ids is not None:
        some = pl.LazyFrame({"text_id": ids.astype(np.uint32)})
        texts, clustered = (frame.join(some, on="text_id", how="semi") for frame in (texts, clustered))
    alone = texts.filter((pl.col("n_rows") == 1) & (pl.col("n_words") > 0)).select(*PLACE, "n_words")
    return audit.collect(alone.join(clustered, on="text_id", how="anti"), "clusters", "texts", engine="streaming")


Found = dict[tuple[str, int], list[Prompt]]  # by script and bin of length


def _read_some(
    audit: Audit, candidates: pl.DataFrame, edges: np.ndarray, wanted: Mapping[tuple[str, int], int], n: int
) -> Found:
    """Candidates with their captions, until each kind has enough or `ROUNDS` are over."""
    bins = np.searchsorted(edges, candidates["n_words"].to_numpy())
    order = _in_turn(bins, wanted)
    found: Found = defaultdict(list)
    for k in range(ROUNDS):
        part = order[k * READ * n : (k + 1) * READ * n]
        captions = read_captions(audit, candidates[part])
        for text_id, cell_bin in zip(candidates["text_id"][part].to_list(), bins[part].tolist(), strict=True):
            caption = captions[text_id]
            found[script(caption), cell_bin].append(Prompt("control", caption, text_id))
        if len(part) < READ * n or all(len(found[cell]) >= count for cell, count in wanted.items()):
            break
    return found


def _in_turn(bins: np.ndarray, wanted: Mapping[tuple[str, int], int]) -> np.ndarray:
    """The order in which candidates are read: bins take turns in proportion to what is wanted of them, so that every
    beginning has lengths like the whole; those of which nothing is wanted come last."""
    turn = np.full(len(bins), np.inf)
    for cell_bin in {b for _, b in wanted}:
        own = np.flatnonzero(bins == cell_bin)
        turn[own] = np.arange(1, len(own) + 1) / max(1, sum(c for (_, b), c in wanted.items() if b == cell_bin))
    return np.argsort(turn, kind="stable")


def _matched(found: Found, wanted: Mapping[tuple[str, int], int], n: int) -> list[Prompt]:
    """What each kind has, then for kinds that are short the nearest in length, of the same script if there are any."""
    left = {cell: list(prompts) for cell, prompts in found.items()}
    out: list[Prompt] = []
    short: list[tuple[str, int]] = []
    for cell, count in sorted(wanted.items()):
        own = left.get(cell, [])
        out += own[:count]
        short += [cell] * (count - len(own[:count]))
        left[cell] = own[count:]
    scripts = {name for name, _ in wanted}
    for name, cell_bin in short:
        others = [cell for cell, prompts in left.items() if prompts and cell[0] in scripts]
        if not others:
            break
        nearest = min(others, key=lambda cell: (cell[0] != name, abs(cell[1] - cell_bin), cell))
        out.append(left[nearest].pop(0))
    return out[:n]
