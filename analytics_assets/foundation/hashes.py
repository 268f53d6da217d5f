"""Short hashes of texts, by which identities and versions are compared."""

import hashlib
from collections.abc import Iterable


def digest(parts: Iterable[str]) -> str:
    """A short hash of some texts in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
