"""How numbers of things are written, in messages of all rooms."""

from collections.abc import Sequence


def plural(count: int, what: str, several: str = "") -> str:
    """A number of things: `1 row`, `1,200 rows`; `several` is what other numbers of them are called."""
    return f"{count:,} {what if count == 1 else several or f'{what}s'}"


def lower_first(text: str) -> str:
    """A title within a sentence; one that begins with an abbreviation stays as it is."""
    return text if text[:2].isupper() and len(text) > 1 else text[:1].lower() + text[1:]


def listed(names: Sequence[str], most: int = 2) -> str:
    """Some names with commas, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
