"""What ends the command with one line."""

from typing import final


@final
class CommandError(Exception):
    """Input that can't be worked with; its text names what was got and what was expected."""


@final
class Interrupted(BaseException):
    """Ctrl-C. Not a KeyboardInterrupt, for skorch's loop swallows those and goes on."""
