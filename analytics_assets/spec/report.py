"""What a report is: the models that it reads, its measures, and how they are shown. Only declarations.

A measure is defined once, over columns that add up, and holds for any selection: a ratio is the ratio of two sums over
the selection, never an average of ratios. The page evaluates measures in the browser (`reports/page/measures.js`), the
workbook in Python (`reports/figures.py`); both are tested against the marts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal

DAY = "day"
"""The name of the day in every dataset."""

WEEKDAY = "weekday"
"""The name of the weekday, by which charts can be although no dataset has it."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

OTHER = "other"
"""How a value that its dimension does not list is shown."""

NONE = "(none)"
"""How a missing value is shown."""


TITLE_LENGTH = 31
"""The most characters of a tab's title in a workbook."""


class Format(StrEnum):
    """How a measure's values are written."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"
    MEAN = "mean"  # a number that is not whole
    MONEY = "money"  # in the currency of the measure, or else of the report
    PLAIN = "plain"  # in whatever unit its row names


UNITS: Mapping[Format, str] = {
    Format.COUNT: "",
    Format.SHARE: "%",
    Format.SECONDS: "s",
    Format.MEAN: "",
    Format.PLAIN: "",
}
"""The unit that follows a value, unless its measure names another; that of money is a currency."""


@dataclass(frozen=True)
class Dimension:
    """A column by which figures are split and filtered.

    Attributes:
        column: its name in every dataset that has it.
        title: its title in the singular, as in a table's heading.
        values: the values that are shown, in order; all others are shown as `other`. None shows all values.
        is_filter: whether people can filter by it; then every dataset must have it.
        is_identifier: whether its values are long identifiers, which charts shorten.
        one_of: the values of which exactly one counts at a time, the first one unless another is chosen: answers to one
            question, which must not be summed, such as those of several models. Rows without a value count for each of
            them, and so does a dataset that lacks the dimension. Charts and tables by the dimension show all values;
            the workbook and the sheet, in which nothing is chosen, add it to their tables.
        is_country: whether its values are countries, by the two letters of ISO 3166; then a chart can be a map.
    """

    column: str
    title: str
    values: tuple[str, ...] | None = None
    is_filter: bool = False
    is_identifier: bool = False
    one_of: tuple[str, ...] = ()
    is_country: bool = False


@dataclass(frozen=True)
class Largest:
    """The most rows that are shown of a dataset with many, such as one of users: those whose number is largest.

    Each file says what it leaves out. That is in no sum, so measures of such a dataset stand in tables alone.

    Attributes:
        number: the number of the dataset.
        page: how many the dashboard holds.
        tabs: how many the workbook and the sheet hold, if they have room for them.
    """

    number: str
    page: int = 500
    tabs: int = 50_000


@dataclass(frozen=True)
class Dataset:
    """The rows of a model, summed by day and some dimensions; or the table of an analysis.

    Attributes:
        model: a dbt model with `access: public`, or an analysis of the domain.
        dimensions: the columns of some `Dimension`s.
        numbers: the columns that add up.
        day: for a model without days, the column that holds the day of a row. Such a model is current state: it tells
            of now, whatever day the report is as of.
        largest: which rows are shown if there are many; None shows all.
        is_analysis: whether it is an analysis: its table as of the report's day, whatever days people choose. A filter
            acts on it if it has the dimension.
        is_apart: whether filters by dimensions that it lacks leave it as it is, such as visits beside products. The
            page says so beside what is measured over it.
    """

    model: str
    dimensions: tuple[str, ...]
    numbers: tuple[str, ...]
    day: str = ""
    largest: Largest | None = None
    is_analysis: bool = False
    is_apart: bool = False


@dataclass(frozen=True)
class Sum:
    """A sum over rows; no value where all of them lack theirs, as rows of an analysis may.

    Attributes:
        model: the model of the dataset.
        column: the column to sum.
        where: by dimension, the values that a row must have one of.
        variance: the column that holds the variance of each row's estimate; it gives the sum a 95 % interval.
        rows: the column that counts the sampled rows behind it; below 30 there is no interval.
        is_exact: whether it is known and no estimate, as a bill: its ratio to an estimate has the interval
            of the estimate.
    """

    model: str
    column: str
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variance: str | None = None
    rows: str | None = None
    is_exact: bool = False


@dataclass(frozen=True)
class Distinct:
    """The number of different values of a dimension, without those in `besides`."""

    model: str
    dimension: str
    besides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ratio:
    """One sum divided by another; no value if the second is zero.

    It has an interval if both sums have one, and they either share no rows or the first is a part of the second; or if
    one has an interval, and the other is exact.

    Attributes:
        times: what the quotient is multiplied by: 1,000 for a price of a thousand.
    """

    over: Sum
    under: Sum
    times: int = 1

    @property
    def is_share(self) -> bool:
        """Whether the first sum is a part of the second, so that it lies between 0 and 1."""
        same = (self.over.model, self.over.column) == (self.under.model, self.under.column)
        return same and self.times == 1 and self.under.where.items() <= self.over.where.items()

    @property
    def is_of_different_rows(self) -> bool:
        """Whether no row is in both sums."""
        common = self.over.where.keys() & self.under.where.keys()
        return any(set(self.over.where[column]).isdisjoint(self.under.where[column]) for column in common)


@dataclass(frozen=True)
class Spread:
    """How far apart the values of one dimension are on the shares of another: how much models disagree on channels.

    A value of `part` has a share of the sum by each value of `across`. The figure is the largest less the smallest of
    them; over several values of `part`, it is that of the value on which they are farthest apart. A value of `across`
    whose sum is not positive has no shares.
    """

    sum: Sum
    across: str
    part: str


Value = Sum | Distinct | Ratio | Spread
"""How a measure is evaluated."""


def parts_of(value: Value) -> Sequence[Sum | Distinct]:
    """The sums and numbers that a value consists of, the first one first."""
    match value:
        case Ratio():
            return [value.over, value.under]
        case Spread():
            return [value.sum]
        case _:
            return [value]


@dataclass(frozen=True)
class Measure:
    """A figure.

    Attributes:
        name: lower_snake_case; the name of the mart column that it should equal, if there is one.
        title: what people read.
        note: what it means, in one sentence, with its unit.
        above_one: the text to show when a ratio is above 1.
        unfinished_days: how many of the newest days have not yet brought all that they will, such as spend whose return
            comes in weeks; they are shaded in charts and tables by day.
        good: which direction is the better one, if either is; a change is then said to be better or worse.
        target: the value to reach: at least that if up is good, at most that if down is. Only figures that do not grow
            with the number of days have one.
        unit: what follows a value in the place of its format's unit.
        currency: the symbol of an amount of money in another currency than that of the report.
    """

    name: str
    title: str
    value: Value
    format: Format
    note: str
    above_one: str = ""
    unfinished_days: int = 0
    good: Literal["up", "down"] | None = None
    target: float | None = None
    unit: str = ""
    currency: str = ""

    @property
    def is_null_of_nothing(self) -> bool:
        """Whether it has no value where there are no rows; if not, it is 0."""
        return isinstance(self.value, Ratio | Spread)

    def unfinished_from(self, newest: date) -> date | None:
        """The first day that is unfinished if a day is the newest; None if no day is."""
        return newest - timedelta(self.unfinished_days - 1) if self.unfinished_days else None

    @property
    def has_interval(self) -> bool:
        """Whether it is an estimate whose precision is known."""
        if isinstance(self.value, Ratio):
            over, under = self.value.over, self.value.under
            if over.is_exact or under.is_exact:
                return any(part.variance is not None for part in (over, under))
            known = over.variance is not None and under.variance is not None
            return known and (self.value.is_share or self.value.is_of_different_rows)
        return isinstance(self.value, Sum) and self.value.variance is not None


class Shape(StrEnum):
    """A kind of chart that is neither lines nor bars."""

    HEATMAP = "heatmap"
    """A cell for each value of `by`, from left to right, and of `split`, from above."""
    SCATTER = "scatter"
    """A point for each value of `by`: the measure upwards, the one that it stands `against` to the right."""
    MAP = "map"
    """The countries of the world, each in the strength of its value."""
    FUNNEL = "funnel"
    """A bar for the measure and for each of the `steps`, which are parts of it: how many are left."""
    WATERFALL = "waterfall"
    """How the measure becomes the one that it stands `against`: each of the `steps` goes on where the last ended."""


@dataclass(frozen=True)
class Chart:
    """A measure by day, by weekday or by a dimension.

    What is by day is by week or month where many days are selected, or people choose it.

    Attributes:
        measure: its name.
        by: `day`, `weekday`, or a dimension; of no meaning where there are steps.
        split: another dimension, whose values are stacked.
        as_shares: whether each stack adds up to 100 %.
        lines: whether the values of the dimension are numbers on an axis, with a line for each value of the split. A
            value without a figure has no point. The dimension lists its values.
        top: how many values of a dimension to show, largest first.
        in_order: whether bars stand in the order of the dimension's values, instead of the largest first.
        against: another measure in the same unit, drawn as a mark across each bar: spend against what it brought.
        note: a sentence below the title, which must hold for days, weeks and months.
        shape: the kind of chart, if it is neither lines nor bars.
        steps: other measures in the same unit, of a funnel or a waterfall.
    """

    title: str
    measure: str
    by: str = DAY
    split: str | None = None
    as_shares: bool = False
    lines: bool = False
    in_order: bool = False
    against: str | None = None
    top: int = 15
    note: str = ""
    shape: Shape | None = None
    steps: tuple[str, ...] = ()

    @property
    def measures(self) -> Sequence[str]:
        """The names of all measures that it shows, in their order."""
        return [name for name in (self.measure, *self.steps, self.against) if name]


@dataclass(frozen=True)
class Table:
    """Measures by some dimensions, or by `day`; each table is also a sheet of the workbook.

    Attributes:
        name: lower_snake_case; names the sheet and the CSV file.
        details: dimensions whose value may change from day to day within a group; the newest day's value is shown.
        shares: whether the first measure is also shown as a share of its sum over the table.
        in_order: whether rows stand in the order of their dimensions, instead of the largest first.
    """

    name: str
    title: str
    by: tuple[str, ...]
    measures: tuple[str, ...]
    details: tuple[str, ...] = ()
    shares: bool = False
    in_order: bool = False


@dataclass(frozen=True)
class Sentences:
    """Sentences of an analysis, in a section above the figures. No selection acts on them.

    They stand in the order of their dataset's dimensions.

    Attributes:
        model: the analysis.
        title: the heading of the section.
        text: the dimension that holds a sentence.
        under: the dimension that holds the heading that a sentence stands under.
        shown: how many stand under a heading until somebody asks for the others.
    """

    model: str
    title: str
    text: str
    under: str
    shown: int = 3


class ReportFile(StrEnum):
    """What a report is written as; the value is the kind of the asset."""

    DASHBOARD = "html"
    WORKBOOK = "xlsx"
    SHEET = "googlesheets"

    @property
    def ending(self) -> str:
        """The file ending; empty for a sheet, which is no file on this machine."""
        return "" if self is ReportFile.SHEET else self.value

    def asset(self, report: str) -> str:
        """The name of the asset: `<report>_dashboard`, `<report>_workbook`, `<report>_sheet`."""
        return f"{report}_{self.name.lower()}"


@dataclass(frozen=True)
class Report:
    """The declaration of a dashboard, a workbook and a sheet.

    Attributes:
        name: the assets are `<name>_dashboard`, `<name>_workbook` and `<name>_sheet`.
        days: how many days it looks back, including its own.
        key_figures: names of measures, shown against the period before.
        notes: what a reader must know to trust the figures, one sentence each.
        files: what it is written as; a Google Sheet only where it is declared.
        currency: the symbol of its amounts of money, except those of measures that name their own.
        sentences: what an analysis says, above the figures.
        with_tabs_of: other reports whose tables also stand in the workbook and the sheet of this one, after its own,
            over its days.
        timezone: of its days: its domain's.
        opens_on_all: whether the page opens on all days, and not on the newest 28: where few days have rows.

    Raises:
        ValueError: a name is unknown, a filter does not act on every dataset of a model, or a dataset of which only the
            largest rows are shown is measured outside of tables.
    """

    name: str
    title: str
    days: int
    datasets: tuple[Dataset, ...]
    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    key_figures: tuple[str, ...]
    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    files: tuple[ReportFile, ...] = (ReportFile.DASHBOARD, ReportFile.WORKBOOK)
    currency: str = "€"
    sentences: Sentences | None = None
    with_tabs_of: tuple["Report", ...] = ()
    timezone: str = "UTC"
    opens_on_all: bool = False

    def parts_of(self, file: ReportFile) -> Sequence["Report"]:
        """The reports whose tables a file shows: this one, and, if it has tabs, those that it is written with."""
        return (self,) if file is ReportFile.DASHBOARD else self.parts

    @property
    def parts(self) -> Sequence["Report"]:
        """The report, and those whose tables are tabs of it."""
        return (self, *self.with_tabs_of)

    def unit(self, measure: Measure) -> str:
        """The unit that follows a value of a measure."""
        if measure.format is Format.MONEY:
            return measure.currency or self.currency
        return measure.unit or UNITS[measure.format]

    def __post_init__(self) -> None:
        for what, name, known in self._names():
            if name not in known:
                raise ValueError(f"report {self.name}: {what} names {name!r}; there is {', '.join(sorted(known))}")
        for dimension in self.dimensions:
            if dimension.column in (DAY, WEEKDAY):
                raise ValueError(f"report {self.name}: {dimension.column} is the name of what each row's day gives")
        self._check_switch()
        self._check_tabs()
        for measure in self.measures:
            self._check_measure(measure)
        for dataset in self.datasets:
            if dataset.is_analysis and dataset.day:
                raise ValueError(f"report {self.name}: {dataset.model} is an analysis, and has no column with days")
            if dataset.is_analysis and dataset.is_apart:
                raise ValueError(f"report {self.name}: {dataset.model} is an analysis, which is apart anyway")
            if not (dataset.is_analysis or dataset.is_apart) and (
                lacking := {filter_.column for filter_ in self.filters} - set(dataset.dimensions)
            ):
                raise ValueError(
                    f"report {self.name}: a filter acts on everything at once, but {dataset.model} has no "
                    f"{', '.join(sorted(lacking))}"
                )

        partial = {dataset.model for dataset in self.datasets if dataset.largest}
        for what, name in [
            *(("a key figure", name) for name in self.key_figures),
            *((f"chart {chart.title!r}", name) for chart in self.charts for name in chart.measures),
            *((f"the shares of table {table.name}", table.measures[0]) for table in self.tables if table.shares),
        ]:
            if found := sorted(partial & set(self.models_of(self.measure(name)))):
                raise ValueError(
                    f"report {self.name}: {what} would sum {found[0]}, of which only the largest rows are shown"
                )
        for chart in self.charts:
            self._check_chart(chart)

    def _check_measure(self, measure: Measure) -> None:
        where = f"report {self.name}: measure {measure.name}"
        if self.filters and len({self.dataset(model).is_apart for model in self.models_of(measure)}) > 1:
            raise ValueError(f"{where} divides what filters act on by what they leave as it is, or the other way round")
        if measure.target is not None and (not measure.good or not isinstance(measure.value, Ratio | Spread)):
            raise ValueError(f"{where} has a target; that takes a ratio or a spread, and which direction is good")
        if measure.currency and measure.format is not Format.MONEY:
            raise ValueError(f"{where} has a currency, and is no money")
        if measure.unit and measure.format in (Format.MONEY, Format.SHARE, Format.SECONDS):
            raise ValueError(f"{where} has the unit {measure.unit!r}, and its format another")

    def _check_chart(self, chart: Chart) -> None:
        where = f"report {self.name}: chart {chart.title!r}"
        measure, by_time = self.measure(chart.measure), chart.by in (DAY, WEEKDAY)
        against = self.measure(chart.against) if chart.against else None
        is_plain = not (chart.as_shares or chart.lines or chart.in_order)
        if bool(chart.steps) != (chart.shape in (Shape.FUNNEL, Shape.WATERFALL)):
            raise ValueError(f"{where} has steps if it is a funnel or a waterfall, and not else")
        if chart.steps:
            measures = [self.measure(name) for name in chart.measures]
            if bool(against) != (chart.shape is Shape.WATERFALL) or chart.by != DAY or chart.split or not is_plain:
                raise ValueError(f"{where} takes steps alone, and a waterfall the measure at which it ends")
            if len({(one.format, self.unit(one)) for one in measures}) > 1:
                raise ValueError(f"{where} has steps in more than one unit")
            return
        if chart.shape is Shape.HEATMAP:
            if not chart.split or DAY in (chart.by, chart.split) or against or not is_plain:
                raise ValueError(f"{where} is a heatmap, which takes two dimensions, or one and the weekday")
        elif chart.shape is Shape.SCATTER:
            if not against or by_time or chart.split or not is_plain:
                raise ValueError(f"{where} is a scatter, which takes two measures by a dimension")
        elif chart.shape is Shape.MAP:
            if by_time or not self.dimension(chart.by).is_country or chart.split or against or not is_plain:
                raise ValueError(f"{where} is a map, which takes one measure by a dimension of countries")
        elif against and (
            by_time
            or chart.split
            or chart.lines
            or (against.format, self.unit(against)) != (measure.format, self.unit(measure))
        ):
            raise ValueError(
                f"{where} sets {chart.measure} against {chart.against}, which takes bars by a dimension, not split, "
                "and two measures in one unit"
            )
        if WEEKDAY in (chart.by, chart.split):
            for model in self.models_of(measure):
                if self.dataset(model).is_analysis:
                    raise ValueError(f"{where} is by weekday; {model} is an analysis, and of no day")
        if chart.lines and (by_time or not self.dimension(chart.by).values):
            raise ValueError(f"{where} draws lines by {chart.by}, which lists no values")

    def _check_switch(self) -> None:
        switches = [one for one in self.dimensions if one.one_of]
        if len(switches) > 1:
            names = ", ".join(one.column for one in switches)
            raise ValueError(f"report {self.name}: of {names}, only one can be one of several values")
        for switch in switches:
            if switch.values is not None or switch.is_filter:
                raise ValueError(
                    f"report {self.name}: of {switch.column}, one value is chosen; it is no filter and lists no values"
                )
            for measure in self.measures:
                if any(isinstance(part, Sum) and switch.column in part.where for part in parts_of(measure.value)):
                    raise ValueError(
                        f"report {self.name}: measure {measure.name} names values of {switch.column}, of which one is "
                        "chosen"
                    )

    def _check_tabs(self) -> None:
        if self.sentences and self.sentences.title in [table.title for table in self.tables]:
            raise ValueError(
                f"report {self.name}: its sentences and a table are both titled {self.sentences.title!r}, which "
                "a screen reader could not tell apart"
            )
        for what, names in (
            ("tables are titled", [table.title[:TITLE_LENGTH].lower() for part in self.parts for table in part.tables]),
            ("reports show", [dataset.model for part in self.parts for dataset in part.datasets]),
        ):
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"report {self.name}: two {what} {twice[0]!r}, of which one workbook holds one")

    @staticmethod
    def models_of(measure: Measure) -> list[str]:
        """The models of a measure's datasets."""
        return [part.model for part in parts_of(measure.value)]

    def _names(self) -> Iterator[tuple[str, str, set[str]]]:
        """Each name that the report uses: what uses it, the name, and the known names."""
        models, measures = {one.model: one for one in self.datasets}, {one.name for one in self.measures}
        dimensions = {one.column for one in self.dimensions}
        for dataset in self.datasets:
            for column in dataset.dimensions:
                yield f"dataset {dataset.model}", column, dimensions
            if dataset.largest:
                yield f"dataset {dataset.model}", dataset.largest.number, set(dataset.numbers)
        for measure in self.measures:
            for part in parts_of(measure.value):
                where = f"measure {measure.name}"
                yield where, part.model, set(models)
                dataset = models[part.model]
                if isinstance(part, Distinct):
                    yield where, part.dimension, set(dataset.dimensions)
                    continue
                for column in filter(None, (part.column, part.variance, part.rows)):
                    yield where, column, set(dataset.numbers)
                of_spread = (measure.value.across, measure.value.part) if isinstance(measure.value, Spread) else ()
                for column in (*part.where, *of_spread):
                    yield where, column, set(dataset.dimensions)
        if self.sentences:
            yield "its sentences", self.sentences.model, {one.model for one in self.datasets if one.is_analysis}
            for column in (self.sentences.text, self.sentences.under):
                yield "its sentences", column, set(models[self.sentences.model].dimensions)
        for name in self.key_figures:
            yield "a key figure", name, measures
        for chart in self.charts:
            for name in chart.measures:
                yield f"chart {chart.title!r}", name, measures
                for column in filter(None, (chart.by, chart.split)):
                    yield f"chart {chart.title!r}", column, self._dimensions_of(name) | {DAY, WEEKDAY}
        for table in self.tables:
            for name in table.measures:
                yield f"table {table.name}", name, measures
                for column in (*table.by, *table.details):
                    yield f"table {table.name}", column, self._dimensions_of(name) | {DAY}

    def _dimensions_of(self, measure: str) -> set[str]:
        """The dimensions by which a measure can be split: those that all of its datasets have."""
        return set.intersection(
            *(set(self.dataset(model).dimensions) for model in self.models_of(self.measure(measure)))
        )

    @property
    def switch(self) -> Dimension | None:
        """The dimension of which exactly one value counts at a time, if there is one."""
        return next((dimension for dimension in self.dimensions if dimension.one_of), None)

    def is_switched(self, measure: Measure) -> bool:
        """Whether a measure has another value for another choice of the switch."""
        if self.switch is None or (isinstance(measure.value, Spread) and measure.value.across == self.switch.column):
            return False
        return any(self.switch.column in self.dataset(model).dimensions for model in self.models_of(measure))

    @property
    def filters(self) -> Sequence[Dimension]:
        """The dimensions that people can filter by."""
        return [dimension for dimension in self.dimensions if dimension.is_filter]

    def dataset(self, model: str) -> Dataset:
        """A dataset by its model."""
        return next(one for one in self.datasets if one.model == model)

    def dimension(self, column: str) -> Dimension:
        """A dimension by its column; the weekday is one, too."""
        if column == WEEKDAY:
            return Dimension(WEEKDAY, "Weekday", values=WEEKDAYS)
        return next(one for one in self.dimensions if one.column == column)

    def measure(self, name: str) -> Measure:
        """A measure by its name."""
        return next(one for one in self.measures if one.name == name)
