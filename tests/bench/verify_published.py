"""`memaudit verify` on the published lists of memorised and other prompts: needs a GPU and the network.

    make verify-published [MODEL=CompVis/stable-diffusion-v1-4] [DATA=FOLDER] [PUBLISHED='--download --limit 50']

The lists are memorized_laion_prompts.csv and unmemorized_laion_prompts.csv of Hintersdorf et al. (NeurIPS 2024),
https://github.com/ml-research/localizing_memorization, folder prompts/; DATA is a folder that holds them already. Every
prompt is judged as a cluster of its own, the labels are read afterwards only. 200 of the other prompts calibrate, the
rest of them count false verdicts; the tier 0 figures take all. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memaudit.errors import MemauditError
from memaudit.progress import PlainProgress, Silent
from memaudit.verify.decoding import Unusable, decoded_picture
from memaudit.verify.download import Downloads
from memaudit.verify.models import load
from memaudit.verify.outcome import FULL_SEEDS
from memaudit.verify.pictures import Gallery
from memaudit.verify.screen import screen
from memaudit.verify.screening import PROMPTS_AT_ONCE, SCREEN_SEEDS, SIGNALS
from memaudit.verify.settings import VerifyConfig
from tests.bench.fit import areas
from tests.bench.judging import CONTROLS, REPLICATED, NoPictures, judge_prompts, work_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memaudit.progress import Progress
    from memaudit.verify.models import Model

MODEL = "CompVis/stable-diffusion-v1-4"
LISTS = ("memorized_laion_prompts.csv", "unmemorized_laion_prompts.csv")
WHERE = "https://raw.githubusercontent.com/ml-research/localizing_memorization/main/prompts/"
OTHER = "unmemorised"
PUBLISHED = {"magnitude": ".992 / .944, SD 2 .980 / .876"}  # 4 seeds, SD 1.4, as re-measured by Jeon et al. (2025)
FALSE = 0.01  # share of the other prompts at which a recall is read
SEEDS = 4


class Listed(NamedTuple):
    """A prompt of the lists. label: VM (verbatim), TM (template) or `OTHER`."""

    caption: str
    url: str
    label: str


class Linked:
    """Pictures of prompts by their URLs, in the place of verify's own source."""

    kind, told = "download", "downloaded"

    def __init__(self, prompts: Sequence[Listed], cache: Path) -> None:
        self.urls = [p.url for p in prompts]
        self.downloads = Downloads(cache=cache)

    def gallery(self, text_ids: Sequence[int], size: int, most: int) -> Gallery:
        return self.one_each(text_ids[:most], size)

    def one_each(self, text_ids: Sequence[int], size: int) -> Gallery:
        pictures, ids, missing = [], [], 0
        for i, data in zip(text_ids, self.downloads.fetch_all([self.urls[i] for i in text_ids]), strict=True):
            try:
                if isinstance(data, Unusable):
                    raise data
                pictures.append(decoded_picture(data, size))
                ids.append(i)
            except Unusable:
                missing += 1
        stacked = np.stack(pictures) if pictures else np.zeros((0, size, size, 3), np.uint8)
        return Gallery(stacked, [self.urls[i] for i in ids], np.array(ids, np.uint32), missing)


def read_list(path: Path) -> list[Listed]:
    """The prompts of one list (columns Caption, URL and, of the memorised, type, between semicolons), each once."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [
            Listed(r["Caption"], r.get("URL") or "", r.get("type") or OTHER)
            for r in csv.DictReader(file, delimiter=";")
        ]
    return list({row.caption: row for row in rows}.values())


def fetched(folder: Path) -> None:
    """Fetch the lists that the folder lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LISTS:
        if not (folder / name).is_file():
            print(f"fetching {WHERE}{name}", file=sys.stderr)
            with urllib.request.urlopen(WHERE + name, timeout=30) as answer:
                (folder / name).write_bytes(answer.read())


def tier_0(model: Model, prompts: Sequence[str], seed: int, progress: Progress) -> dict[str, np.ndarray]:
    """float64 (prompts,) by signal, at the seeds that verify's screen takes."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in SIGNALS}
    seeds = [seed + SCREEN_SEEDS + i for i in range(SEEDS)]
    with progress.stage("tier 0 of all prompts", len(prompts)) as advance:
        for start in range(0, len(prompts), PROMPTS_AT_ONCE):
            some = prompts[start : start + PROMPTS_AT_ONCE]
            seen = screen(model, some, seeds, agreement=True)
            assert seen.agreement is not None
            for name, values in zip(SIGNALS, (seen.magnitude, seen.agreement), strict=True):
                found[name].append(values.astype(np.float64))
            advance(len(some))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def separation(memorised: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """(AUC, share of the memorised above all but `FALSE` of the others)."""
    least = np.quantile(other, 1 - FALSE, method="higher")
    return float(areas(memorised, other).mean()), float((memorised > least).mean())


def measure(
    model: Model, memorised: Sequence[Listed], others: Sequence[Listed], asked: argparse.Namespace, progress: Progress
) -> dict[str, Any]:
    """Judge the lists; returns figures and a row for each prompt that is judged."""
    config = VerifyConfig(model.name, "trained", samples=asked.samples, seed=asked.seed, download=asked.download)
    shuffled = [others[i] for i in np.random.default_rng(asked.seed).permutation(len(others))]
    n = min(CONTROLS, len(shuffled) // 2)
    controls, judged = shuffled[:n], [*memorised, *shuffled[n:]]
    signals = tier_0(model, [p.caption for p in (*memorised, *shuffled)], asked.seed, progress)
    first_calls, k = model.calls, len(memorised)
    source = Linked([*judged, *controls], asked.output / "pictures") if asked.download else NoPictures()
    work = work_of([p.caption for p in judged], [p.caption for p in controls], source)
    key = config.digest(model.digest, model.steps, model.guidance, [p.caption for p in (*judged, *controls)])
    asked.output.mkdir(parents=True, exist_ok=True)
    found = judge_prompts(model, work, config, asked.output, key, progress)
    by_label: dict[str, dict[str, int]] = {}
    for prompt, verdict in zip(judged, found.verdicts, strict=True):
        counts = by_label.setdefault(prompt.label, {})
        counts[verdict] = counts.get(verdict, 0) + 1
    return {
        "model": model.describe(),
        "tier 0": {name: separation(values[:k], values[k:]) for name, values in signals.items()},
        "tier 0 calls": first_calls,
        "verdicts": by_label,
        "with pictures": sum(bool(r.get("gallery")) for r in found.records),
        "calls": found.calls,
        "full calls": len(judged) * FULL_SEEDS * model.steps * (2 if model.guided else 1),
        "minutes": found.seconds / 60,
        "rows": [
            {"caption": p.caption, "label": p.label, "verdict": v, **{x: r.get(x) for x in ("n", "hits", *SIGNALS)}}
            for p, v, r in zip(judged, found.verdicts, found.records, strict=True)
        ],
    }


def table(out: dict[str, Any]) -> str:
    """The figures as Markdown."""
    about, names = out["model"], sorted({v for counts in out["verdicts"].values() for v in counts})
    lines = [
        f"{about['model']} ({about['digest']}), {about['scheduler']}, {about['steps']} steps, guidance "
        f"{about['guidance']:g}, {about['dtype']} on {about['device']}",
        "",
        f"| tier 0, {SEEDS} seeds | AUC / TPR at 1 % FPR | published |",
        "|---|---|---|",
        *(
            f"| {name} | {_figure(area)} / {_figure(recall)} | {PUBLISHED.get(name, '')} |"
            for name, (area, recall) in out["tier 0"].items()
        ),
        "",
        f"| label | prompts | {' | '.join(names)} | replicated |",
        f"|---|---|{'---|' * (len(names) + 1)}",
    ]
    for label, counts in sorted(out["verdicts"].items(), reverse=True):
        n, told = sum(counts.values()), " | ".join(str(counts.get(name, 0)) for name in names)
        lines.append(f"| {label} | {n} | {told} | {sum(counts.get(v, 0) for v in REPLICATED) / n:.1%} |")
    lines += [
        "",
        f"Prompts with a training picture: {out['with pictures']}. U-Net calls: {out['calls']:,} and "
        f"{out['tier 0 calls']:,} for the tier 0 figures; {FULL_SEEDS} seeds of every prompt would take "
        f"{out['full calls']:,}. Minutes of this session: {out['minutes']:.1f}.",
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _needs_a_gpu() -> None:
    """Exit with the reason where nobody named a device and there is no CUDA device."""
    import torch

    if not torch.cuda.is_available():
        sys.exit(
            "error: no CUDA device\n  why: a thousand prompts take hours on a GPU and weeks on a processor\n"
            "  try: PUBLISHED='--device mps' (or cpu), with '--limit 10' for a part of the lists"
        )


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL, help="hub id or folder, SD 1.x, 2.x or SDXL; default: %(default)s")
    parser.add_argument("--data", type=Path, help="folder with the two lists; default: fetch them")
    parser.add_argument("--device", help="default: CUDA, and nothing where there is none")
    parser.add_argument("--dtype", choices=("fp16", "bf16", "fp32"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--samples", type=int, default=16, help="most pictures of a prompt; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="only the first so many prompts of each list")
    parser.add_argument("--download", action="store_true", help="fetch training pictures by their URLs; many are gone")
    parser.add_argument("--output", type=Path, default=Path("demo/published"), help="pictures and journal")
    parser.add_argument("--json", type=Path, help="write figures and rows there")
    parser.add_argument("--quiet", action="store_true")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    asked = parsed(words)
    pictures = " and training pictures from their hosts" if asked.download else ""
    lists = f"the prompt lists from {asked.data}" if asked.data else "the prompt lists from github.com"
    print(f"This needs a GPU and the network: {asked.model} from the hub, unless it is a folder, {lists}{pictures}.\n"
          f"Pictures and journal go to {asked.output}.", file=sys.stderr, flush=True)  # fmt: skip
    if asked.device is None:
        _needs_a_gpu()
    try:
        folder = asked.data or asked.output
        if asked.data is None:
            fetched(folder)
        memorised, others = (read_list(folder / name)[: asked.limit] for name in LISTS)
        model = load(asked.model, asked.device, asked.dtype, steps=asked.steps, guidance=asked.guidance)
        out = measure(model, memorised, others, asked, Silent() if asked.quiet else PlainProgress())
    except MemauditError as error:
        sys.exit("\n".join(error.lines()))
    except KeyError as error:
        sys.exit(f"error: no column {error} in a list\n  try: --data with the published files")
    except OSError as error:
        sys.exit(f"error: the lists cannot be had\n  {error}\n  try: --data FOLDER")
    if asked.json:
        asked.json.write_text(json.dumps(out, indent=1, default=float))
    print(table(out))


if __name__ == "__main__":
    main()
