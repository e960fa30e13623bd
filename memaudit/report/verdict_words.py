"""Verdicts in words, the same in every format; texts of models and files stay as they are, escaping is the format's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.report.words import NOTHING, number, percent, plural, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

RELATION_WORDS = {
    "trained": "trained on this data",
    "finetuned": "fine-tuned on this data",
    "unrelated": "has not seen this data",
}
PICTURE_WORDS = {"folder": "from a folder", "bytes": "from the dataset", "download": "downloaded"}
MOST_WORDS = 3  # words whose weight is told
_PROMPTS = {"caption_rate": "captions", "unseen_rate": "unseen slot values", "trigger_rate": "trigger words alone"}


def title(verdict: str) -> str:
    """not replicated, as people write it."""
    return verdict.replace("_", " ")


def interval(low: float | None, high: float | None) -> str:
    """33 to 100 %; a dash where nothing is known."""
    if low is None or high is None:
        return NOTHING
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def copied(verdict: Mapping[str, Any]) -> str:
    """4 of 4."""
    return f"{number(verdict['n_copies'])} of {number(verdict['n_samples'])}"


def says(verdict: Mapping[str, Any], run: Mapping[str, Any] | None) -> str:
    """One verdict in a sentence. run: what is known of the model's run, for the controls.

    "verbatim: 4 of 4 samples copy (33 to 100 %), controls 0 of 72".
    """
    name = verdict["verdict"]
    if name in ("verbatim", "template"):
        return ", ".join([f"{name}: {_copies(verdict)}", *beside(verdict, run), *_blame(verdict)])
    if name == "not_replicated":
        limit = f"at most {percent(verdict['high'])} at {plural(verdict['n_samples'], 'seed', False)}"
        n = verdict["n_copies"]
        few = [f"{number(n)} {'copies' if n == 1 else 'copy'}"] if n else []
        return ", ".join([f"not replicated: {limit}", *few, *beside(verdict, run)])
    if name == "screened":
        rank = verdict["signals"].get("magnitude_rank")
        why = verdict["why"] or "" if rank is None else f"magnitude below {_at_least(1 - rank)} of controls"
        return f"screened: {why}; not sampled" if why else "screened: not sampled"
    return f"{title(name)}: {verdict['why'] or 'no reason was noted'}"


def _copies(verdict: Mapping[str, Any]) -> str:
    n = verdict["n_samples"]
    noun = "sample" if n == 1 else "samples"
    verb = "copies" if verdict["n_copies"] == 1 else "copy"
    return f"{copied(verdict)} {noun} {verb} ({interval(verdict['low'], verdict['high'])})"


def beside(verdict: Mapping[str, Any], run: Mapping[str, Any] | None) -> list[str]:
    """The control rate and the reference rate, where they are known."""
    controls = (run or {}).get("controls") or {}
    out = []
    if controls.get("sampled"):
        out.append(f"controls {number(controls['hits'])} of {number(controls['sampled'])}")
    elif verdict["control_rate"] is not None:
        out.append(f"controls {percent(verdict['control_rate'])}")
    if verdict["reference_rate"] is not None:
        out.append(f"reference model {percent(verdict['reference_rate'])}")
    return out


def _blame(verdict: Mapping[str, Any]) -> list[str]:
    """Why a copy is not put down to this dataset."""
    if verdict["relation"] == "unrelated":
        return ["but the model has not seen this data"]
    return ["which explains it: it copies about as often"] if verdict["explained_by_reference"] else []


def signals(verdict: Mapping[str, Any]) -> list[str]:
    """What was measured, in words."""
    known = verdict["signals"]
    out = []
    if (rank := known.get("magnitude_rank")) is not None:
        out.append(f"magnitude above {_at_least(rank)} of controls")
    elif "magnitude" in known:
        out.append(f"magnitude {known['magnitude']:.2f}")
    if (rank := known.get("seed_agreement_rank")) is not None:
        out.append(f"seeds agree more than {_at_least(rank)} of controls")
    if "distance" in known:
        out.append(f"{known['distance']:.2f} from the nearest picture of the cluster (median)")
    if "region_distance" in known:
        share = f", {percent(known['region_share'])} of the picture" if "region_share" in known else ""
        out.append(f"{known['region_distance']:.2f} in the copied region{share}")
    if "agreement" in known:
        out.append(f"{known['agreement']:.2f} between seeds (median)")
    if verdict["e_value"] is not None:
        out.append(f"e-value {_large(verdict['e_value'])}")
    return out


def _at_least(share: float) -> str:
    """99.9 %, rounded down."""
    return f"{int(round(1000 * share, 4)) / 10:g} %"


def _large(value: float) -> str:
    return f"{value:.2g}" if value < 10 else number(value) if value < 1e6 else f"{value:.0e}".replace("e+", "e")


def by_prompt(verdict: Mapping[str, Any]) -> list[str]:
    """Copies by kind of prompt: captions 100 %, unseen slot values 50 %."""
    known = verdict["signals"]
    return [f"{noun} {percent(known[name])}" for name, noun in _PROMPTS.items() if name in known]


def shades(verdict: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Words with their weight as a share of the largest, in [0, 1]."""
    weights = [(one["word"], abs(one["weight"] or 0.0)) for one in verdict["word_weights"]]
    most = max((weight for _, weight in weights), default=0.0)
    return [(word, weight / most if most else 0.0) for word, weight in weights]


def heaviest(verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The words that weigh most and their share of all: [("shaw", "41 %"), ...]."""
    weights = [(one["word"], abs(one["weight"] or 0.0)) for one in verdict["word_weights"]]
    total = sum(weight for _, weight in weights)
    best = sorted(weights, key=lambda pair: -pair[1])[:MOST_WORDS]
    return [(word, percent(weight / total)) for word, weight in best if weight > 0]


def costs(pictures: Mapping[str, Any]) -> list[str]:
    """What is lost where training pictures are missing."""
    if pictures["kind"] == "none":
        return [
            "No training pictures: a copy shows only where seeds agree, so verbatim and template cannot be told apart, "
            "and a copy that varies is missed."
        ]
    missing = pictures["missing"]
    return (
        [f"{plural(missing, 'training picture')} missing: copies of what is missing are not seen."] if missing else []
    )


def run_facts(run: Mapping[str, Any]) -> list[str]:
    """Controls, screen, pictures and cost of one run, each a line or less; what is not known is left out."""
    controls, screen, pictures = run["controls"], run["screen"], run["pictures"]
    out = []
    if controls["sampled"]:
        limit = f" (at most {percent(controls['high'])})" if controls["high"] is not None else ""
        out.append(f"controls: {number(controls['hits'])} of {number(controls['sampled'])} copy{limit}")
    if screen["cleared"] is not None:
        out.append(f"{number(screen['cleared'])} cleared by the screen" + _missed(screen))
    if pictures["kind"] in PICTURE_WORDS:
        missing = f", {number(pictures['missing'])} missing" if pictures["missing"] else ""
        out.append(f"{plural(pictures['found'] or 0, 'picture')} {PICTURE_WORDS[pictures['kind']]}{missing}")
    elif pictures["kind"] == "none":
        out.append("no training pictures")
    if run["unet_calls"] is not None:
        fewer = f", {run['times_fewer']:,.0f} times fewer than sampling all" if (run["times_fewer"] or 0) >= 2 else ""
        out.append(f"{plural(run['unet_calls'], 'U-Net call')}{fewer}")
    machine = " ".join(part for part in (run["device"], run["dtype"]) if part)
    took = f"{seconds(run['seconds'])}" if run["seconds"] is not None else ""
    return out + [f"{took}{' on ' if took and machine else ''}{machine}"] * bool(took or machine)


def _missed(screen: Mapping[str, Any]) -> str:
    if not screen["audited"]:
        return ", none of them sampled to check it"
    verb = "copies" if screen["missed"] == 1 else "copy"
    return f", {number(screen['audited'])} of them sampled to check it: {number(screen['missed'])} {verb}"


def counted(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Verdicts that there are: [("verbatim", "3 verbatim"), ("not_replicated", "12 not replicated")]."""
    return [(name, f"{number(n)} {title(name)}") for name, n in run["counts"].items() if n]
