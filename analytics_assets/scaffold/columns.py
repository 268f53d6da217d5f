"""What the texts of one column are: their type, the texts that stand for nothing, the format of their times."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from analytics_assets.scaffold.names import said_plainly
from analytics_assets.scaffold.questions import Ask, Question
from analytics_assets.settings import PLAUSIBLE_YEARS
from analytics_assets.spec.source import EpochUnit, PolarsType

AMOUNT = pl.Decimal(38, 9)
TIME = pl.Datetime("us")

MARKERS = (
    "NA", "N/A", "n/a", "na", "#N/A", "NULL", "Null", "null", "None", "none", "NONE", "\\N", "-", "--", "—", "nan",
    "NaN", "NAN", "?", ".", "missing", "(null)", "<NA>", "NaT", "undefined",
)  # fmt: skip
"""Texts that stand for nothing, where the others of their column are numbers or times."""

FEWEST_NUMBERS = 5  # different ones, beside the one word that stands for nothing
FEW_ODD = 0.02  # of the values: so few that are of another type than the others are taken for mistakes

_DATES = (
    "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y",
    "%d.%m.%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y",
    "%a %b %d %Y", "%a, %d %b %Y",
)  # fmt: skip
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
_OTHER_TIMES = ("%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%Y%m%dT%H%M%S")
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
_ISO_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}(:\d{2}(\.\d{1,9})?)?( ?(Z|z|UTC)|[+-]\d{2}(:?\d{2})?)?$"
_OFFSET = r"\d( ?(Z|z|UTC)|[+-]\d{2}(:?\d{2})?)$"
_INTEGER = r"^[+-]?\d{1,19}$"
_WHOLE = r"^[+-]?\d{1,15}(\.0+)?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_BOOLEANS = ("true", "false", "yes", "no", "t", "f", "y", "n")

_OF_TRUTH = re.compile(r"^(is|has|was|had|did|does|can)_|_flag$")
_OF_TEXT = re.compile(
    r"(^|_)(zip|zipcode|postcode|postal|postal_code|plz|phone|telephone|mobile|fax|iban|ssn|isbn|ean|sku)(_|$)"
)
_OF_MONEY = re.compile(
    r"(^|_)(amount|price|cost|costs|revenue|sales|fee|fees|tax|vat|fare|tip|tips|total|subtotal|discount|spend|"
    r"budget|balance|payment|payout|salary|income|profit|margin|value|usd|eur|gbp|net|gross|rent)(_|$)"
)
_OF_TIME = re.compile(r"(^|_)(time|at|date|datetime|ts|timestamp|created|updated|modified|on|when|epoch)(_|$)")
_EPOCHS: Mapping[EpochUnit, tuple[int, int]] = {
    "s": (10**8, 10**10),
    "ms": (10**11, 10**13),
    "us": (10**14, 10**16),
    "ns": (10**17, 9 * 10**18),
}


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a CSV file are written: what stands before the fraction, and between groups of digits."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, text: pl.Series) -> pl.Series:
        """Numbers in this form with a point and without groups; other texts become null."""
        if self == NumberForm():
            return text
        decimal = re.escape(self.decimal)
        group = "[ \u00a0\u202f]" if self.thousands == " " else re.escape(self.thousands)
        whole = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)" if group else r"\d+"
        is_number = text.str.contains(rf"^[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?$")
        bare = text.str.replace_all(group, "") if group else text
        return bare.str.replace(self.decimal, ".", literal=True).set(~is_number.fill_null(False), None)


FORMS = tuple(NumberForm(*one) for one in ((",", ""), (",", "."), (",", " "), (".", ","), (".", " "), (".", "'")))
"""How others write numbers, beside a point and no groups."""


@dataclass(frozen=True)
class ColumnLook:
    """What a column holds.

    Attributes:
        name: its name in the project.
        spelled: as the files write it, most frequent first.
        dtype: its type in the spec.
        why: why this type.
        nulls: texts that stand for nothing.
        time_format: of times that are not ISO 8601.
        has_offset: whether its times say their zone themselves.
        decimals: the most digits after the point.
        is_complete: whether no value is missing.
    """

    name: str
    spelled: tuple[str, ...]
    dtype: PolarsType
    why: str
    nulls: tuple[str, ...] = ()
    time_format: str | None = None
    epoch: EpochUnit | None = None
    has_offset: bool = False
    decimals: int = 0
    is_complete: bool = True

    @property
    def is_time(self) -> bool:
        """Whether it holds times or dates."""
        return self.dtype in (pl.Date, TIME)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.dtype in (pl.Int64, pl.Float64, AMOUNT)


def look_at(
    name: str,
    spelled: Sequence[str],
    held: pl.Series,
    form: NumberForm,
    ask: Ask,
    *,
    day_first: bool | None = None,
    nothing: Collection[str] = (),
) -> ColumnLook:
    """Infers what a column holds.

    Args:
        held: its values: text, or in the types of a Parquet file.
        form: how its numbers are written.
        day_first: how dates such as 01/02/2026 are read, where this column does not tell.
        nothing: texts that stand for nothing, beside the usual ones.
    """
    found = ColumnLook(name, tuple(spelled), pl.String, "text", is_complete=held.null_count() == 0)
    if held.dtype != pl.String:
        return _of_type(found, held.dtype)
    text = held.str.strip_chars()
    text = text.set((text == "").fill_null(False), None)
    found = replace(found, is_complete=text.null_count() == 0)
    values = text.drop_nulls()
    if values.is_empty():
        return replace(found, why="text: it is empty in what was looked at")
    marks = [one for one in values.unique().sort().to_list() if one in MARKERS or one in nothing]
    typed = values.filter(~values.is_in(marks)) if marks else values
    if typed.is_empty():
        return found
    for nulls, rest in ((), values), (tuple(marks), typed):
        if (known := _typed(replace(found, nulls=nulls), rest, form, ask, day_first)) is not None:
            return replace(known, is_complete=known.is_complete and not nulls)
        if not marks:
            break
    return _mostly(replace(found, nulls=tuple(marks)), typed, form, ask, day_first) or found


def _of_type(found: ColumnLook, dtype: pl.DataType) -> ColumnLook:
    said = f"{dtype} in the file"
    if dtype.is_integer():
        return replace(found, dtype=pl.Int64, why=said)
    if dtype.is_float():
        return replace(found, dtype=pl.Float64, why=said)
    if isinstance(dtype, pl.Decimal):
        return replace(found, dtype=AMOUNT, why=said, decimals=dtype.scale or 0)
    if dtype == pl.Boolean or dtype == pl.Date:
        return replace(found, dtype=pl.Boolean if dtype == pl.Boolean else pl.Date, why=said)
    if isinstance(dtype, pl.Datetime):
        return replace(found, dtype=TIME, why=said, has_offset=dtype.time_zone is not None)
    return replace(found, why=f"text, from {dtype} in the file")


def _all(values: pl.Series, pattern: str) -> bool:
    return bool(values.str.contains(pattern).all())


def _typed(
    found: ColumnLook, values: pl.Series, form: NumberForm, ask: Ask, day_first: bool | None
) -> ColumnLook | None:
    """The type that all values have; None if they are texts."""
    if values.str.to_lowercase().is_in(_BOOLEANS).all() and (
        values.n_unique() > 1 or values[0].lower() in ("true", "false")
    ):
        return replace(found, dtype=pl.Boolean, why=f"each value is one of {_examples(values.unique().sort())}")
    plain = form.plain(values)
    if plain.null_count() == 0 and _all(plain, _NUMBER):
        return _number(found, values, plain)
    return _time(found, values, ask, day_first)


def _number(found: ColumnLook, values: pl.Series, plain: pl.Series) -> ColumnLook | None:
    if _OF_TEXT.search(found.name):
        return None if not _all(values, _INTEGER) else replace(found, nulls=(), why="text: its digits are no quantity")
    if _OF_TRUTH.search(found.name) and _all(plain, r"^[01](\.0+)?$"):
        return replace(found, dtype=pl.Boolean, why="yes or no: its name says so, and its numbers are 0 and 1")
    if _all(plain, _INTEGER):
        if plain.cast(pl.Int64, strict=False).null_count():
            return replace(found, nulls=(), why="text: its numbers have more digits than a whole number holds")
        if plain.str.contains(r"^[+-]?0\d").any():
            return replace(found, nulls=(), why="text: some of its digits begin with 0, which a number would lose")
        if (plain.str.len_chars() == 8).all() and _OF_TIME.search(found.name):
            dates = plain.str.to_date("%Y%m%d", strict=False)
            if _are_plausible(dates):
                return replace(found, dtype=pl.Date, time_format="%Y%m%d", why=f"dates such as {plain[0]}")
        if _OF_TIME.search(found.name):
            numbers = plain.cast(pl.Int64)
            for unit, (least, most) in _EPOCHS.items():
                if numbers.is_between(least, most).all():
                    why = f"times: its name says so, and its numbers are {unit} since 1970"
                    return replace(found, dtype=TIME, epoch=unit, has_offset=True, why=why)
        return replace(found, dtype=pl.Int64, why="whole numbers")
    decimals = plain.str.extract(r"\.(\d*)$", 1).str.len_chars().fill_null(0)
    most = max(decimals.to_list())
    has_exponent = plain.str.contains("[eE]").any()
    if not has_exponent and most <= 4 and _OF_MONEY.search(found.name) and (plain.str.len_chars() < 28).all():
        why = f"an exact amount: its name says money, and no value has more than {_counted(most, 'decimal')}"
        return replace(found, dtype=AMOUNT, decimals=most, why=why)
    if _all(plain, _WHOLE):
        return replace(found, dtype=pl.Int64, why="whole numbers: all their fractions are zero")
    return replace(found, dtype=pl.Float64, decimals=most, why="numbers with a fraction")


def _time(found: ColumnLook, values: pl.Series, ask: Ask, day_first: bool | None) -> ColumnLook | None:
    if not values.str.contains(r"\d").all():
        return None
    if _all(values, _ISO_DATE) and _are_plausible(values.str.to_date("%Y-%m-%d", strict=False)):
        return replace(found, dtype=pl.Date, why=f"dates such as {values[0]}")
    if _all(values, rf"{_ISO_TIME[:-1]}$|{_ISO_DATE}"):
        with_offset = values.str.contains(_OFFSET) & values.str.contains(":")
        days = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
        if _are_plausible(days):
            at_midnight = not with_offset.any() and values.str.contains(r"[T ]0?0:00(:00(\.0+)?)?$").all()
            if at_midnight:
                return replace(found, dtype=pl.Date, why=f"dates: each is at midnight, such as {values[0]}")
            return replace(found, dtype=TIME, has_offset=bool(with_offset.all()), why=f"times such as {values[0]}")
    fits = [form for form in _formats(values) if _fits(values, form)]
    if not fits:
        return None
    form = _chosen(found, fits, values, ask, day_first)
    dtype = TIME if "%H" in form or "%I" in form else pl.Date
    why = f"{'times' if dtype == TIME else 'dates'} in the format {form}, such as {values[0]}"
    return replace(found, dtype=dtype, time_format=form, has_offset="%z" in form, why=why)


def _formats(values: pl.Series) -> Iterator[str]:
    """The formats that the first value may have."""
    first = values.head(1)
    dates = [*_DATES, "%Y-%m-%d"]
    for form in (
        *_DATES,
        *_OTHER_TIMES,
        *(f"{date}{gap}{clock}" for date in dates for gap in (" ", "T", ", ") for clock in _CLOCKS),
    ):
        if _fits(first, form):
            yield form


def _fits(values: pl.Series, form: str) -> bool:
    if "%Y" in form and not values.str.contains(r"(?:^|\D)\d{4}(?:\D|$)").all() and "%Y%m%d" not in form:
        return False
    try:
        if "%H" not in form and "%I" not in form:
            return _are_plausible(values.str.to_date(form, strict=False))
        if "%z" in form:
            return _are_plausible(values.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False).dt.date())
        return _are_plausible(values.str.to_datetime(form, time_unit="us", strict=False).dt.date())
    except pl.exceptions.PolarsError:
        return False


def _are_plausible(days: pl.Series) -> bool:
    return days.null_count() == 0 and bool(days.dt.year().is_between(PLAUSIBLE_YEARS[0], PLAUSIBLE_YEARS[-1]).all())


def is_day_first(form: str | None) -> bool | None:
    """Whether a format puts the number of the day before that of the month; None if it has not both as numbers."""
    if form is None or "%d" not in form or "%m" not in form:
        return None
    return form.index("%d") < form.index("%m") if form.index("%Y" if "%Y" in form else "%y") > 0 else None


def _chosen(found: ColumnLook, fits: Sequence[str], values: pl.Series, ask: Ask, day_first: bool | None) -> str:
    """The format, of those that fit all values; asks if days and months cannot be told apart."""
    orders = {is_day_first(form) for form in fits}
    if len(fits) == 1 or orders != {True, False}:
        return fits[0]
    if day_first is None:
        sentence = f"Dates of {found.name}, such as {values[0]}: which comes first?"
        default = "day" if ".%" in fits[0] else "month"
        day_first = ask(Question("dates", sentence, ("day", "month"), default)) == "day"
    return next(form for form in fits if is_day_first(form) is day_first)


def _mostly(
    found: ColumnLook, values: pl.Series, form: NumberForm, ask: Ask, day_first: bool | None
) -> ColumnLook | None:
    """The type that nearly all values have, or all but one word; asks what the others are."""
    plain = form.plain(values)
    is_number = plain.str.contains(_NUMBER).fill_null(False)
    is_date = values.str.contains(rf"{_ISO_DATE}|{_ISO_TIME}")
    of_type = is_number if is_number.sum() >= is_date.sum() else is_date
    odd = values.filter(~of_type)
    is_one_word = odd.n_unique() == 1 and not odd.str.contains(r"\d").any()
    is_often = is_one_word and values.filter(of_type).n_unique() >= FEWEST_NUMBERS
    if len(values) < 20 or not (is_often or 0 < len(odd) <= FEW_ODD * len(values)):
        return None
    known = _typed(found, values.filter(of_type), form, ask, day_first)
    if known is None or known.dtype == pl.String:
        return None
    shown = _examples(odd.unique(maintain_order=True))
    sentence = (
        f"{found.name}: {len(odd):,} of {len(values):,} values are {shown}, the others are {known.why}. What are they?"
    )
    is_word = odd.n_unique() <= 3 and not odd.str.contains(r"\d").any()
    answer = ask(Question("odd", sentence, ("nothing", "rejects", "text"), "nothing" if is_word else "rejects"))
    if answer == "text":
        return None
    if answer == "nothing":
        nulls = (*known.nulls, *sorted(odd.unique().to_list()))
        return replace(known, nulls=nulls, is_complete=False, why=f"{known.why}; {shown} stands for nothing")
    return replace(known, is_complete=known.is_complete, why=f"{known.why}; rows with {shown} are rejected")


def _examples(values: pl.Series) -> str:
    shown = [f"“{said_plainly(value, 30)}”" for value in values.head(4).to_list()]
    return ", ".join(shown) + (", …" if len(values) > 4 else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def number_form(columns: Mapping[str, pl.Series], delimiter: str, ask: Ask) -> tuple[NumberForm, str]:
    """How a CSV file writes its numbers, and why: in the form in which most of its columns are numbers.

    Args:
        columns: the values of its columns, as text.
    """
    trimmed = {name: one.str.strip_chars().drop_nulls() for name, one in columns.items()}
    stripped = {name: one.filter((one != "") & ~one.is_in(MARKERS)) for name, one in trimmed.items()}
    held = {name: one for name, one in stripped.items() if len(one) and one.str.contains(r"\d").any()}

    def numbers(form: NumberForm) -> set[str]:
        plain = {name: form.plain(one) for name, one in held.items()}
        return {name for name, one in plain.items() if one.null_count() == 0 and _all(one, _NUMBER)}

    best, most = NumberForm(), numbers(NumberForm())
    tied: list[NumberForm] = []  # they read as many columns
    for form in FORMS:
        if len(found := numbers(form)) > len(most):
            best, most, tied = form, found, []
        elif best != NumberForm() and len(found) == len(most):
            tied.append(form)
    if best == NumberForm():
        return best, ""
    sign = best.decimal if best.decimal != "." else best.thousands
    shown = r"\s" if sign == " " else re.escape(sign)
    examples = (held[name].filter(held[name].str.contains(rf"\d{shown}\d")) for name in sorted(most))
    example = next((found[0] for found in examples if len(found)), "")
    with_point = NumberForm(".", ",")
    if (
        best == NumberForm(",", "")
        and with_point in tied
        and all(_all(held[name], r"^[+-]?\d{1,3}(,\d{3})*$") for name in most - numbers(NumberForm()))
    ):
        sentence = f"Numbers such as {example}: does the comma stand before the fraction, or between thousands?"
        default = "fraction" if delimiter == ";" else "thousands"
        if ask(Question("numbers", sentence, ("fraction", "thousands"), default)) == "thousands":
            best = with_point
    return best, f"numbers such as {example}"
