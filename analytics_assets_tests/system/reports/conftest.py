"""What the tests of pages share: one browser a module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from analytics_assets_tests.support.browser import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found
