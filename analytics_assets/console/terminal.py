"""The terminal: all commands print through `console`, which shows each string as plain text.

Strings are never markup here: `[red]`, an escape sequence or a line break in a file name is shown as such. Use `line`
for colours.
"""

import sys
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from analytics_assets.foundation.plain_text import plain


class Terminal(Console):
    """A rich console that prints every string as one line of plain text."""

    def render_str(self, text: str, **how: Any) -> Text:
        """The text of a line, a cell or a heading; rich calls it for each string."""
        given = {name: how[name] for name in ("style", "justify", "overflow") if name in how}
        return Text(plain(text), **given)

    def status(self, status: Any, **how: Any) -> Status:
        """A line that changes while work goes on; pass a `line` to `Status.update`."""
        return super().status(line(status) if isinstance(status, str) else status, **how)


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of plain texts, some with a style: `line(("error:", "red"), " ", what)`."""
    return Text.assemble(*(plain(part) if isinstance(part, str) else (plain(part[0]), part[1]) for part in parts))


console = Terminal(highlight=False, width=None if sys.stdout.isatty() else 120)
