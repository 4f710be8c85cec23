"""The exceptions that a user may see, each one line."""


class UserError(Exception):
    """Something that the user can mend: the text names the thing and the remedy."""

    status = 1


class TakenError(UserError):
    """A run lives already where another one was to be written."""


class Interrupted(UserError):
    """The user stopped a run, and it was saved; `status` is what a shell gives for the signal."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status
