"""What is said of rejected rows: how many, of which column, for which reason, and the value that failed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from analytics_assets.ingest.landed_files import file_checks
from analytics_assets.ingest.rejects import why_rejected
from analytics_assets.state.check_results import first_finding
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.inbox import Inbox
from analytics_assets_tests.support.visits import VISITS

HEADER = b"id,at,n,amount,note\n"


def rows(*values: str, day: int = 1, amount: str = "1.5") -> bytes:
    return b"".join(
        f"{number}-{day},2025-06-0{day} 10:00:00,{value},{amount},x\n".encode() for number, value in enumerate(values)
    )


def why(inbox: Inbox, day: date | None = None) -> str:
    identities = Ledger(inbox.settings.lake_dir).identities(inbox.source).values()
    return why_rejected(inbox.settings, inbox.source, identities, day)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["NA"], "n: `NA` is no whole number: 1 row; add it to `null_values`?"),
        (["NA"] * 9 + ["1"], "n: `NA` is no whole number: 9 rows; add it to `null_values`?"),
        (
            ["NA", "NA", "2.5", "x1"],
            "n: `NA` is no whole number: 2 rows, and 2 other values: 2 rows; add it to `null_values`?",
        ),
        (["1.204"] * 3, "n: `1.204` is no whole number: 3 rows"),
        (["\x1b[2Jnone"], "n: `\\x1b[2Jnone` is no whole number: 1 row"),
        (["x" * 60], f"n: `{'x' * 39}…` is no whole number: 1 row"),
    ],
)
def test_the_value_that_failed_most_often_is_named_and_counted(
    inbox: Callable[..., Inbox], values: list[str], said: str
) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + rows(*values))
    visits.land()
    assert why(visits) == said


def test_reasons_are_told_by_their_rows_and_those_of_a_corrected_file_are_not(inbox: Callable[..., Inbox]) -> None:
    visits = inbox(VISITS)
    visits.drop("a.csv", HEADER + rows("NA", "NA", "NA") + rows("1", "1", day=2, amount="much") + b"broken\n")
    visits.land()
    assert why(visits) == (
        "n: `NA` is no whole number: 3 rows; add it to `null_values`?; "
        "amount: `much` is no number: 2 rows; add it to `null_values`?; "
        "at: missing columns: 1 of 5 fields: 1 row"
    )
    assert why(visits, date(2025, 6, 2)).startswith("amount: `much` is no number: 2 rows")
    assert why(visits, date(2025, 6, 3)) == ""

    (check,) = (one for one in file_checks(VISITS, visits.settings, closed={}, ignored={}) if not one.passed)
    assert "rejected 6: n: `NA` is no whole number: 3 rows; add it to `null_values`?;" in first_finding(check.metadata)

    visits.drop("a.csv", HEADER + rows("1", "2"))
    visits.land()
    assert why(visits) == "", "what was corrected is told no more"


def test_a_mark_that_the_spec_knows_is_not_proposed_again(inbox: Callable[..., Inbox]) -> None:
    known = replace(VISITS, null_values={"amount": ("NA",)})
    visits = inbox(known)
    visits.drop("a.csv", HEADER + rows("1", "NA", amount="NA"))
    visits.land()
    assert why(visits) == "n: `NA` is no whole number: 1 row; add it to `null_values`?"
