"""The exceptions that a user may see, each one line."""

# What would end or clear a line, as Python writes it.
ESCAPED = {code: repr(chr(code))[1:-1] for code in (*range(32), 127, 0x85, 0x2028, 0x2029)}


class UserError(Exception):
    """Something that the user can mend: the text names the thing and the remedy."""

    status = 1

    def __init__(self, text: str) -> None:
        # The name of a file may hold line breaks.
        super().__init__(text.translate(ESCAPED))


class TakenError(UserError):
    """A run lives already where another one was to be written."""


class DivergedError(UserError):
    """A training ran away, and what it has to be measured is no number, or none that is of use."""


class Interrupted(UserError):
    """The user stopped a run, and it was saved; `status` is what a shell gives for the signal."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
