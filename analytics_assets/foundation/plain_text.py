"""Makes text from elsewhere safe to show: on a terminal, in a log, in a message.

The names of files and folders, cells, settings and errors may hold anything: line breaks that forge a line, escape
sequences that a terminal obeys, marks that reverse the direction of writing. They are shown escaped.
"""

import logging
import re
from collections.abc import Iterable, Sequence


def plain(text: object) -> str:
    r"""A text on one line, with all unprintable characters escaped as in Python: `\n`, `\x1b`, `\u202e`."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _written(letter) for letter in text)


def shortened(text: str, longest: int) -> str:
    """A text of at most `longest` characters, with an ellipsis if it was cut."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def in_markdown(text: str) -> str:
    """A text on one line that Markdown shows as it is, also in the cell of a table."""
    line = " ".join(text.split())
    # An underscore within a word means nothing there, and many names have one.
    line = re.sub(r"([\\`*\[\]<>&~|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", line)
    return re.sub(r"^(?:([#+-])|(\d+)([.)])(?= |$))", lambda start: f"{start[2] or ''}\\{start[1] or start[3]}", line)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are Markdown: each is put on one line, and a bar in it ends no cell."""
    lines = [[" ".join(cell.split()).replace("|", r"\|") for cell in line] for line in [headings, *rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ["---"] * len(headings), *lines[1:]])


def logger_of(module: str) -> logging.Logger:
    """The logger of a module; its messages are plain text, so each stays one line, whatever file it names."""
    logger = logging.getLogger(module)
    logger.addFilter(_with_plain_message)
    return logger


def _with_plain_message(record: logging.LogRecord) -> bool:
    record.msg, record.args = plain(record.getMessage()), ()
    return True


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode()  # this escapes a lone surrogate, too
