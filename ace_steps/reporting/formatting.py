"""How names, settings and numbers are written for people, the same in every table and figure.

What is missing is a dash, which ``page.cell`` writes.
"""

import json
import math

GREEK = {"lambda": "λ", "lambda_rel": "λ / s²ₖ", "gamma": "\N{GREEK SMALL LETTER GAMMA}"}
METRIC_NAMES = {"recall": "Recall", "ndcg": "NDCG", "mrr": "MRR"}
MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def entry(name: str) -> str:
    """A refinement's entry as it is shown; the method ``random`` is random initialization."""
    return "random init" if name == "random" else name


def setting(key: str) -> str:
    """A setting's name: ``lambda`` is λ; of a dotted key the last part."""
    last = key.rpartition(".")[2]
    return GREEK.get(last, last)


def dotted(key: str) -> str:
    """A nested setting's name in full, its last part as ``setting`` writes it."""
    before, dot, _ = key.rpartition(".")
    return before + dot + setting(key)


def values(point: str) -> str:
    """Grid values given as a JSON object: ``λ = 5, k = 128``; empty for none."""
    return ", ".join(f"{setting(key)} = {scalar(v)}" for key, v in json.loads(point).items())


def grid_point(name: str, grid_values: str) -> str:
    """An entry with its grid values: ``ace (λ = 5)``."""
    text = values(grid_values)
    return f"{entry(name)} ({text})" if text else entry(name)


def scalar(value: object) -> str:
    """A setting's value: booleans and null as in YAML, floats in short, a list in brackets."""
    if isinstance(value, list):
        return f"[{', '.join(map(scalar, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def metric(name: str, cutoff: int) -> str:
    """``NDCG@10``."""
    return f"{METRIC_NAMES[name]}@{cutoff}"


def score(value: float) -> str:
    """A metric in [0, 1], four decimals."""
    return f"{value:.4f}"


def change(value: float | None) -> str:
    """A relative change in percent with its sign; empty for none."""
    if value is None or math.isnan(value):
        return ""
    return f"{100 * value:+.1f} %".replace("-", MINUS)


def p_value(value: float) -> str:
    """A p-value to two digits; below 0.0001 only that it is."""
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def signed(value: float) -> str:
    """A difference of metrics with its sign, four decimals."""
    return f"{value:+.4f}".replace("-", MINUS)


def number(value: float) -> str:
    """An integer in full with thin spaces between thousands, another number to four digits."""
    if math.isinf(value):
        return f"{value:g}"
    if 0 < abs(value) < 1e-4:
        return f"{value:.1e}".replace("e-0", "e-").replace("-", MINUS)
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1e4 else f"{value:.4g}"
    return text.replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)


def share(value: float) -> str:
    """A share in [0, 1] in percent."""
    return f"{100 * value:.3g} %"


def plural(count: int, noun: str) -> str:
    """``1 seed``, ``5 seeds``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def seconds(value: float) -> str:
    """A duration: ``8.2 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def phrase(name: str) -> str:
    """A snake_case name as words: ``tie_share`` is ``Tie share``, ``n_texts`` is ``Texts``."""
    words = name.removeprefix("n_").replace("_", " ").replace(".", " · ").strip()
    return words[:1].upper() + words[1:]
