"""How numbers of things are written, in messages of all rooms."""


def plural(count: int, what: str, several: str = "") -> str:
    """A number of things: `1 row`, `1,200 rows`; `several` is what other numbers of them are called."""
    return f"{count:,} {what if count == 1 else several or f'{what}s'}"
