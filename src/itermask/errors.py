"""The two ways this package says no."""


class InputError(ValueError):
    """What the user supplied cannot be used: a file, an option, a model folder.

    The message is one line that names the file or option, says what is wrong and what to do. The command
    line prints it as it is and ends with exit code 2; cohort runs record it beside the scan.
    """


class MissingExtraError(InputError, ImportError):
    """An optional dependency is needed and not installed; the message names the extra to install."""


class PluginError(InputError):
    """What another package adds to this one cannot be used; the message names the package."""
