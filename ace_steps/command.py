"""The command line every step shares: options, one-line errors, exit codes."""

import argparse
import errno
import logging
import sys
from collections.abc import Callable
from typing import NoReturn

from ace_steps.errors import ConfigurationError, InputError

log = logging.getLogger(__name__)

CALLER_MISTAKE = 2
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130  # 128 + SIGINT, the shell's convention


class _Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(CALLER_MISTAKE, f"{self.prog}: {message}; see --help.\n")


class _StepFormatter(logging.Formatter):
    """Lines ``<time> <step>: <message>``; a warning says so, and a run's display shows it."""

    def __init__(self, step: str) -> None:
        super().__init__(f"%(asctime)s {step}: %(mark)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.mark = "warning: " if record.levelno == logging.WARNING else ""
        return super().format(record)


def parser(doc: str) -> argparse.ArgumentParser:
    """An option parser for a step.

    Args:
        doc: The step's module docstring: first line what it does, then an example to paste.
    """
    summary, _, example = doc.strip().partition("\n\n")
    return _Parser(
        prog=_step_name(),
        description=summary,
        epilog=f"example:\n  {example.strip()}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_identity(options: argparse.ArgumentParser, *names: str) -> None:
    """Add one required option per part of a run's identity, e.g. ``--dataset``."""
    for name in names:
        kind = int if name == "seed" else str
        options.add_argument(f"--{name}", type=kind, required=True, help=f"the run's {name}")


def execute(run: Callable[..., None], options: argparse.Namespace) -> int:
    """Call ``run`` with the options; the exit code.

    Returns:
        0, or 2 for a caller's mistake and for a file the system refuses (one line each), or 130
        when interrupted. Any other exception is a defect of ours and keeps its traceback.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_StepFormatter(_step_name()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for library in ("httpx", "httpx2", "httpcore", "huggingface_hub", "transformers"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        run(**vars(options))
    except ConfigurationError as mistakes:
        log.error("%s", mistakes)
        return CALLER_MISTAKE
    except InputError as mistake:
        log.error("%s", " ".join(str(mistake).split("\n")))
        return CALLER_MISTAKE
    except OSError as refusal:
        where = f"{refusal.filename}: " if refusal.filename else ""
        is_full = refusal.errno in NO_SPACE
        way_out = "; the old file stands, free some space and run again" if is_full else ""
        log.error("%s%s%s", where, refusal.strerror or refusal, way_out)
        return CALLER_MISTAKE
    except KeyboardInterrupt:
        log.error("interrupted; finished outputs are kept, run the same command to go on")
        return INTERRUPTED
    return 0


def _step_name() -> str:
    """The running step's module name, also under ``python -m``, else the program's name."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__spec__").name if frame.f_globals.get("__spec__") else ""
        if name.startswith("ace_steps.steps."):
            return name.rpartition(".")[2]
        frame = frame.f_back
    return "ace_steps"
