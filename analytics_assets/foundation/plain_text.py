"""Text that came from somewhere else, made fit to be shown: on a terminal, in a log, in a message.

The names of files and folders, cells, settings and errors may hold anything: line breaks that forge a line, escape
sequences that a terminal obeys, marks that turn the direction of writing. They are shown as what they are.
"""

import logging


def plain(text: object) -> str:
    r"""A text on one line, in which whatever cannot be seen is written as Python would: `\n`, `\x1b`, `\u202e`."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _written(letter) for letter in text)


def shortened(text: str, longest: int) -> str:
    """At most so many characters of a text, with an ellipsis where some are missing."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def logger_of(module: str) -> logging.Logger:
    """The logger of a module, whose messages are plain text: each stays one line, whatever file it names."""
    logger = logging.getLogger(module)
    logger.addFilter(_with_plain_message)
    return logger


def _with_plain_message(record: logging.LogRecord) -> bool:
    record.msg, record.args = plain(record.getMessage()), ()
    return True


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode()  # of a lone surrogate, too
