"""The terminal: whatever the commands print goes through `console`, which shows each text as text.

Strings hold no markup here: `[red]`, an escape sequence or a line break in the name of a file is shown as that. Colours
are given with `line`.
"""

import sys
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from analytics_assets.foundation.plain_text import plain


class Terminal(Console):
    """A console of rich, of which every string is one line of plain text."""

    def render_str(self, text: str, **how: Any) -> Text:
        """The text of a line, of a cell or of a heading; rich calls it for each string that it is given."""
        given = {name: how[name] for name in ("style", "justify", "overflow") if name in how}
        return Text(plain(text), **given)

    def status(self, status: Any, **how: Any) -> Status:
        """A line that changes while something goes on; `Status.update` wants a `line`."""
        return super().status(line(status) if isinstance(status, str) else status, **how)


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of plain texts, of which some have a style: `line(("error:", "red"), " ", what)`."""
    return Text.assemble(*(plain(part) if isinstance(part, str) else (plain(part[0]), part[1]) for part in parts))


console = Terminal(highlight=False, width=None if sys.stdout.isatty() else 120)
