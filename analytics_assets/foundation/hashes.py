"""Short hashes of texts: identities and versions are compared by them."""

import hashlib
from collections.abc import Iterable


def digest(parts: Iterable[str]) -> str:
    """A short hash of some texts, in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
