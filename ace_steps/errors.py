"""The exceptions for a caller's mistakes."""


class InputError(ValueError):
    """Input that cannot be used: a file, a table, a setting, a value.

    The message is one line that says where, what was expected and what was there; a step prints it
    without a traceback and ends with exit code 2.
    """


class ConfigurationError(InputError):
    """All mistakes of a configuration, one a line under a line that counts them."""
