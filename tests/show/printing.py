"""What `python -m ace_steps show` prints."""

from ace_steps.__main__ import main


def shown(capsys, *options):
    """What the command prints; no colour and no box, since no terminal reads it."""
    assert main(["show", *map(str, options)]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "─" not in printed
    return printed
