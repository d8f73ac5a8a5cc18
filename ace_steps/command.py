"""The command line every step shares: options, one-line errors, exit codes."""

import argparse
import dataclasses
import errno
import inspect
import logging
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

from ace_steps.errors import ConfigurationError, InputError

log = logging.getLogger(__name__)

CALLER_MISTAKE = 2
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
INTERRUPTED = 130  # 128 + SIGINT, the shell's convention


def main_of(*runs: Callable[..., None]) -> Callable[[list[str] | None], int]:
    """The ``main`` of a module: its options are the parameters of ``run``.

    ``raw_items: Path`` is the option ``--raw-items``; a default makes it optional, and a parameter
    before the ``*`` is positional. A Literal lists the choices, ``list[Path]`` takes several,
    a bool is a flag (without a default ``--x`` or ``--no-x`` must be given), and the fields of a
    dataclass are options of their own. Annotated adds the help; the module's docstring is the
    summary and the example of ``--help``.

    Args:
        runs: The function to call; of several, each is a command named like it.
    """
    module = sys.modules[runs[0].__module__]
    step = Path(module.__file__).stem.replace("__main__", "ace_steps")

    def main(argv: list[str] | None = None) -> int:
        """Parse the options and run the step; the exit code."""
        summary, _, example = module.__doc__.strip().partition("\n\n")
        epilog = f"example:\n  {example.strip()}" if example else None
        parser = _Parser(prog=step, description=summary, epilog=epilog)
        if len(runs) == 1:
            _add_options(parser, runs[0])
        else:
            commands = parser.add_subparsers(required=True, metavar="command")
            for run in runs:
                (summary, *_) = run.__doc__.splitlines()
                _add_options(commands.add_parser(run.__name__, help=summary), run)
        options = vars(parser.parse_args(argv))
        return execute(partial(_call, options.pop("run"), options), step)

    return main


def execute(run: Callable[[], None], step: str = "ace_steps") -> int:
    """Call ``run``; the exit code.

    Returns:
        0, or 2 for a caller's mistake and for a file the system refuses (one line each), or 130
        when interrupted. Any other exception is a defect of ours and keeps its traceback.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_StepFormatter(step))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for library in ("httpx", "httpx2", "httpcore", "huggingface_hub", "transformers"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        run()
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


class _Parser(argparse.ArgumentParser):
    """An argument parser whose refusal is one line and whose options cannot be shortened."""

    def __init__(self, **options: Any) -> None:
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(**options, formatter_class=form, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(CALLER_MISTAKE, f"{self.prog}: {message}; see --help.\n")


class _StepFormatter(logging.Formatter):
    """Lines ``<time> <step>: <message>``; a warning says so, and a run's display shows it."""

    def __init__(self, step: str) -> None:
        super().__init__(f"%(asctime)s {step}: %(mark)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.mark = "warning: " if record.levelno == logging.WARNING else ""
        return super().format(record)


def _add_options(parser: argparse.ArgumentParser, run: Callable) -> None:
    """Add an option for each parameter of a function, or field of a dataclass."""
    kinds = get_type_hints(run, include_extras=True)
    for name, parameter in inspect.signature(run).parameters.items():
        if dataclasses.is_dataclass(kinds[name]):
            _add_options(parser, kinds[name])
            continue
        kind, text = get_args(kinds[name])
        if isinstance(kind, types.UnionType):  # X | None
            kind = get_args(kind)[0]
        is_required = parameter.default is parameter.empty
        facts = {"help": text.replace("%", "%%"), "type": kind}
        if kind is bool:
            del facts["type"]
            facts["action"] = argparse.BooleanOptionalAction if is_required else "store_true"
        elif get_origin(kind) is Literal:
            facts |= {"choices": get_args(kind), "type": type(get_args(kind)[0])}
        elif get_origin(kind):
            facts |= {"type": get_args(kind)[0], "nargs": "+" if is_required else "*"}
        if not is_required:
            facts["default"] = parameter.default
            if parameter.default not in (None, False, ()):
                facts["help"] += f" (default: {parameter.default})"
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            parser.add_argument(name, **facts)
        else:
            flag = f"--{name.strip('_').replace('_', '-')}"
            parser.add_argument(flag, dest=name, required=is_required, **facts)
    parser.set_defaults(run=run)


def _call(run: Callable, options: dict[str, Any]) -> None:
    """Call ``run`` with the options, those of dataclasses put together again."""
    arguments = {}
    for name, kind in get_type_hints(run).items():
        if dataclasses.is_dataclass(kind):
            fields = (field.name for field in dataclasses.fields(kind))
            arguments[name] = kind(**{field: options[field] for field in fields})
        elif name != "return":
            arguments[name] = options[name]
    run(**arguments)
