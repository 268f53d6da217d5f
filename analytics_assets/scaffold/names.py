"""Names: what the columns of a file are called in the project, and what a new domain may be called."""

import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import duckdb

LONGEST = 60  # characters of a name
LONGEST_LABEL = 40  # characters of a column's title

OF_THE_MODELS = frozenset(
    {"date", "day", "duplicate_rank", "extra_columns", "source_file", "source_row", "landed_at", "row_count"}
)
"""Columns that the models add, beside those of the file."""


@cache
def reserved_words() -> frozenset[str]:
    """The words that DuckDB or BigQuery keep for themselves, in small letters."""
    from sqlglot.dialects.bigquery import BigQuery

    with duckdb.connect() as connection:
        found = connection.execute(
            "select keyword_name from duckdb_keywords() where keyword_category != 'unreserved'"
        ).fetchall()
    return frozenset(word for (word,) in found) | frozenset(
        word.lower() for word in BigQuery.Generator.RESERVED_KEYWORDS
    )


def snake_case(text: str) -> str:
    """A text as lower_snake_case with ASCII letters; empty if nothing of it is a letter or digit."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    parted = re.sub(r"([a-z\d])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3_\2\4", plain)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def column_names(spelled: Sequence[str]) -> dict[str, str]:
    """The project's name of each column of a file, by the file's spelling; a file's own good names stay as they are."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for number, text in sorted(enumerate(spelled, start=1), key=lambda one: _good(one[1]) != one[1]):
        name, again = _good(text) or f"column_{number}", 2
        while name in taken:
            name, again = f"{(_good(text) or 'column')[: LONGEST - 4]}_{again}", again + 1
        taken.add(name)
        found[text] = name
    return {text: found[text] for text in spelled}


def _good(text: str) -> str:
    name = snake_case(text)[:LONGEST].strip("_")
    if name[:1].isdigit():
        name = f"n_{name}"
    return f"{name}_field" if name in reserved_words() or name in OF_THE_MODELS - {"date"} else name


def title_of(name: str) -> str:
    """A name as people read it: `dep_delay` is `Dep delay`."""
    return name.replace("_", " ").strip().capitalize()


def label_of(name: str, spelled: Sequence[str]) -> str:
    """A column as people read it: as the files write it, if that is short, printable and no name of a program."""
    text = spelled[0].strip() if spelled and spelled[0] != name else ""
    is_good = text and "_" not in text and said_plainly(text, LONGEST_LABEL) == text
    return text if is_good else title_of(name)


def said_plainly(text: str, most: int = 60) -> str:
    """A text of a file, fit for a comment, a description or a sentence: printable, short, and nothing of a template."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    plain = " ".join(plain.replace("{", "(").replace("}", ")").replace("<", "‹").replace(">", "›").split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def require_free(name: str, taken: Mapping[str, str]) -> None:
    """Checks the name of a new domain.

    Args:
        taken: names that are in use, with what they are.

    Raises:
        ValueError: it is no good name, or taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > LONGEST:
        better = snake_case(name)[:LONGEST].strip("_")
        better = better if better[:1].isalpha() else f"my_{better}".strip("_")
        raise ValueError(f"{name!r} is no name of a domain: small letters, digits and single _; try {better}")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in reserved_words():
        raise ValueError(f"{name!r} is a word of Python or SQL; try {name}_data")
    if name in taken:
        raise ValueError(f"{name!r} is the name of {taken[name]} already; choose another one")


def free(name: str, taken: Iterable[str]) -> str:
    """The name, or else the name with the first number that makes it free."""
    held, found, number = set(taken), name, 2
    while found in held:
        found, number = f"{name}_{number}", number + 1
    return found
