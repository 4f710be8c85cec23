"""The terminal, for what is told: words of the user's are printed as they are."""

from __future__ import annotations

from typing import Any

from rich.console import Console


class Terminal(Console):
    """rich's console, without its markup and its names of emoji: `[old]` and `:x:` may be names of the user's classes.

    A reader that went away is a `BrokenPipeError`, as with `print`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def on_broken_pipe(self) -> None:
        """Raise what is being handled: rich itself would end the program with a status of its own."""
        self.quiet = True
        raise
