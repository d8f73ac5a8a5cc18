"""Memory of this process, as Linux counts it."""

import re
from pathlib import Path


def resident_mb(kind: str) -> float:
    """``VmRSS``, what is held now, or ``VmHWM``, the most that was held since it last began."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{kind}:\s+(\d+) kB", status)[1]) / 1024


def begin_peak() -> None:
    """``VmHWM`` counts from here."""
    Path("/proc/self/clear_refs").write_text("5")
