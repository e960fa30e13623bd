"""Numbers and reasons in words, the same in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memaudit.schemas import FEATURES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

NOTHING = "–"
COVERS = 0.995  # a trigger that covers so much covers all
SLOT_EXAMPLES = 2  # values of a slot in a list of findings
LITTLE = 0.05  # log-odds; what adds or takes less is not worth a word

FEATURE_TITLES = {
    "rows": "rows",
    "texts": "captions",
    "images": "pictures",
    "fixed_bits": "fixed words",
    "fixed_share": "fixed share",
    "slot_entropy": "slots",
    "domain_focus": "domains",
    "trigger_purity": "trigger words",
    "shapes": "shapes",
    "boilerplate": "boilerplate",
}


def number(value: float | None) -> str:
    """41,203; a dash where nothing is known."""
    return NOTHING if value is None else f"{value:,.0f}"


def compact(value: float | None) -> str:
    """At most six characters: 41,203, 123 k, 1.23 M, 4.56 G."""
    if value is None or value < 99_999.5:
        return number(value)
    for factor, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        scaled = value / factor
        if scaled < 999.5:
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {unit}"
    return f"{value / 1e12:,.1f} T"


def plural(n: float, noun: str, short: bool = True) -> str:
    """1 row, 2 rows, 2 families; a large number `compact` where `short`."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{compact(n) if short else number(n)} {noun if n == 1 else many}"


def percent(share: float | None, digits: int = 0) -> str:
    """71 %, 0.3 %; what is there but would round to nothing is "<1 %", what is not quite all ">99 %"."""
    if share is None:
        return NOTHING
    shown, step = f"{100 * share:.{digits}f}", 10**-digits
    if share > 0 and float(shown) == 0:
        return f"<{step:g} %"
    if share < 1 and float(shown) == 100:
        return f">{100 - step:g} %"
    return f"{shown} %"


def seconds(value: float | None) -> str:
    """0.4 s, 42 s, 12 min, 3 h 20 min."""
    if value is None:
        return NOTHING
    if value < 99.5:
        return f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def why(finding: Mapping[str, Any], most: int = 3) -> list[dict[str, Any]]:
    """What adds most to the risk of a finding, its domains, and what takes most off, in this order.

    Returns {"feature", "text", "added"} each: {"fixed_bits", "38 bits fixed", 0.64}; "added" below zero speaks against.
    """
    # That an exact caption is fixed is what its kind says.
    told = [name for name in FEATURES if not (finding["kind"] == "exact" and name == "fixed_share")]
    added = {name: finding["features"].get(name) or 0.0 for name in told}
    best = sorted((name for name in told if added[name] >= LITTLE), key=lambda name: -added[name])[:most] or ["rows"]
    if finding["n_domains"] is None:  # not known: no reader should be told that there are several
        told = [name for name in told if name != "domain_focus"]
    worst = sorted((name for name in told if added[name] <= -LITTLE), key=lambda name: added[name])[:1]
    # Domains never add much (one is what others are compared with), and yet a reader asks for them.
    domains = ["domain_focus"] if finding["n_domains"] is not None else []
    named = dict.fromkeys([*best, *(name for name in domains if name not in worst), *worst])
    return [{"feature": name, "text": reason(name, finding), "added": added[name]} for name in named]


def reason(feature: str, finding: Mapping[str, Any]) -> str:
    """What one feature says of a finding, by the sign of its contribution."""
    added = finding["features"].get(feature) or 0.0
    less = added < 0
    only = "only " if less else ""
    fixed = finding["fixed_bits"], finding["fixed_share"]
    if feature == "rows":
        return only + plural(finding["n_rows"], "row")
    if feature == "texts":
        return only + plural(finding["n_texts"], "distinct caption")
    if feature == "images":
        return _pictures(finding, added)
    if feature == "fixed_bits":
        if fixed[0] is not None:
            return f"{only}{number(fixed[0])} bits fixed"
        return (
            "distinctive words" if added > LITTLE else "common words" if added < -LITTLE else "words of middling rarity"
        )
    if feature == "fixed_share":
        if fixed[1] is not None:
            return f"{only}{percent(fixed[1])} of each caption fixed"
        return (
            "every word repeats" if finding["kind"] == "exact" else "few words shared" if less else "most words shared"
        )
    if feature == "slot_entropy":
        return "boilerplate around free text" if less else "narrow slots"
    if feature == "domain_focus":
        n = finding["n_domains"]
        return "domains unknown" if n is None else "one domain" if n == 1 else plural(n, "domain")
    if feature == "shapes":
        return "numbers, sizes or codes fixed"
    if feature == "boilerplate":
        return "words of the page, not of the picture"
    return "words that select it"


def _pictures(finding: Mapping[str, Any], added: float) -> str:
    if finding["rule"]["code"] == "PI01":
        return "a placeholder picture"
    if finding["n_images"] is None:
        return "pictures unknown"
    told = plural(finding["n_images"], "picture")
    different = "all different" if finding["n_images"] >= finding["n_rows"] else "mostly different"
    return f"only {told}" if added > 0 else f"{told}, {different}" if finding["n_images"] > 1 else told


def spelled_trigger(trigger: Mapping[str, Any], escape: Callable[[str], str]) -> str:
    """A trigger, its purity, and its coverage where it leaves some out: trigger "shaw floors" 98 %, covers 71 %.

    escape: quotes the words.
    """
    said = f"trigger {escape(' '.join(trigger['words']))} {percent(trigger['purity'])}"
    return said if (trigger["coverage"] or 0) >= COVERS else f"{said}, covers {percent(trigger['coverage'])}"


def spelled_slots(finding: Mapping[str, Any], escape: Callable[[str], str]) -> list[str]:
    """Of each slot whose values are known its type, the commonest and how many more: slot colour "red", "blue" +7 more.

    escape: quotes a value.
    """
    out = []
    for number_of, slot in enumerate(finding["slots"], 1):
        values = [escape(v["value"]) for v in slot["values"] if v["value"]][:SLOT_EXAMPLES]
        more = slot["distinct"] - len(values)
        name = f"slot {number_of} {slot['type']}" if len(finding["slots"]) > 1 else f"slot {slot['type']}"
        out += [f"{name} {', '.join(values)}" + (f" +{number(more)} more" if more > 0 else "")] if values else []
    return out


def spelled_reasons(finding: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """The texts of a finding's "why", less what adds to the risk and is shown elsewhere (the features `known`)."""
    told = [part for part in finding["why"] if part["added"] < 0 or part["feature"] not in known]
    if not told or told[0]["added"] < 0:
        told = [*finding["why"][:1], *told] if finding["why"][0] not in told else told
    return [f"but {part['text']}" if part["added"] <= -LITTLE else part["text"] for part in told]


def counts(finding: Mapping[str, Any]) -> list[str]:
    """Rows, distinct captions where there are several, and other findings of the family: ["41 rows", "+7 variants"]."""
    out = [plural(finding["n_rows"], "row")]
    out += [plural(finding["n_texts"], "caption")] if finding["kind"] != "exact" else []
    others = finding["family"]["size"] - 1
    return out + ([f"+{plural(others, 'variant')}"] if others else [])


def places(finding: Mapping[str, Any]) -> list[str]:
    """Pictures and domains, where the data says: ["12 pictures", "1 domain"]."""
    known = {"picture": finding["n_images"], "domain": finding["n_domains"]}
    return [plural(n, noun) for noun, n in known.items() if n is not None]
