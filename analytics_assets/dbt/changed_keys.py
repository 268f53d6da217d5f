"""Finds the days of readers in which changed keys occur, and gives them new key versions.

Where dbt replaces days of a model that is read by key, it notes the keys whose rows changed, in the transaction of the
replacement (`dbt_project/macros/keys.sql`). `ChangedKeys.settle` searches the readers' drivers for them, renews the key
versions of the days that it finds, and only then forgets the keys. A kill in between leaves the keys to the next step,
so it can make days again that need not be, and never leaves out one that must.

A day is not searched for, but renewed, if its driver's rows may not be those that it was made from: it has no record,
the driver's days have changed since, or the driver's table is gone. What is compared are versions of content, and a
driver that goes from one content to another and back around the search would look unchanged.

While a reader is away, left out for a typo, or declares another mapping, nobody looks for its keys. So the mappings are
recorded, and one that is new or differs renews all days that its reader has.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime

from analytics_assets.automation.versions import input_versions
from analytics_assets.foundation.files import Damaged
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.partitions import (
    EVER,
    ONE_DAY,
    WHOLE,
    PartitionOffsets,
    Read,
    Window,
    by_day,
    downstream_days,
    partitioned_days,
)
from analytics_assets.project import Project
from analytics_assets.spec.model_node import ModelNode
from analytics_assets.state.builds import Builds, recorded_builds
from analytics_assets.warehouse.interface import CannotRead, NotMade, Reader, Warehouse, between

logger = logger_of(__name__)

_DATED = Window(WHOLE.end, EVER.end)
"""Every day but the one as which something without days is recorded."""


@dataclass(frozen=True)
class RenewedDay:
    """A day of a reader that was given a new key version, because of an upstream model."""

    reader: str
    upstream: str
    day: date


class ChangedKeys:
    """The changed keys of the models that one step may write.

    Args:
        builds: the record of all models.
        pool: of the step.
    """

    def __init__(self, project: Project, builds: Builds, pool: str) -> None:
        self._project, self._builds, self._pool = project, builds, pool
        self._mappings = [
            (project.manifest.made[upstream], node, read)
            for upstream, readers in project.manifest.read_by_key.items()
            if project.warehouse.pool(project.manifest.made[upstream].domain) == pool
            for node, read in readers
        ]

    def begin(self, run_id: str) -> None:
        """Does what earlier steps have left, before anything is planned.

        Raises:
            CannotRead: the warehouse cannot be read; the keys stay noted.
        """
        self._renew_changed_mappings(run_id)
        self.settle(run_id)

    def _renew_changed_mappings(self, run_id: str) -> None:
        now = {(node.name, upstream.name): str(read) for upstream, node, read in self._mappings}
        held = self._builds.key_mappings()
        gone = {pair for pair in held.keys() - now.keys() if self._is_written_here(pair[1])}
        changed = {pair for pair, mapping in now.items() if held.get(pair) != mapping}
        if changed or gone:
            days = {pair: list(self._builds.read(pair[0], _DATED)) for pair in changed}
            self._builds.renew_key_versions(days, run_id)
            self._builds.record_key_mappings({pair: now.get(pair) for pair in changed | gone})

    def _is_written_here(self, model: str) -> bool:
        """Whether this step's pool writes a model, as far as the project still knows it."""
        made = self._project.manifest.made
        return model not in made or self._project.warehouse.pool(made[model].domain) == self._pool

    def settle(self, run_id: str) -> list[RenewedDay]:
        """Renews the key versions of the days in which noted keys occur, and forgets the keys.

        Raises:
            CannotRead: the warehouse cannot be read; the keys stay noted.
        """
        if not self._mappings:
            return []
        try:
            with self._project.warehouse.reading() as reader:
                noted = _noted(reader, {table_of_changed_keys(upstream, read) for upstream, _, read in self._mappings})
                renewed = [
                    RenewedDay(node.name, upstream.name, day)
                    for upstream, node, read in self._mappings
                    if (keys := noted.get(table_of_changed_keys(upstream, read)))
                    for day in sorted(self._days_to_renew(reader, node, read, keys))
                ]
        except NotMade:  # there is no warehouse yet
            return []
        days: dict[tuple[str, str], list[date]] = defaultdict(list)
        for one in renewed:
            days[one.reader, one.upstream].append(one.day)
        if days:
            self._builds.renew_key_versions(days, run_id)
        for keys in noted.values():
            self._project.warehouse.delete_rows(keys.table, keys.condition(self._project.warehouse))
        return renewed

    def _days_to_renew(self, reader: Reader, node: ModelNode, read: Read, keys: "_Noted") -> set[date]:
        known = self._known_days(node)
        if keys.days is None:
            return set(known.days())
        in_span = downstream_days([read], lambda _: keys.days or (), known)
        changed = self._days_of_other_inputs(node, known)
        try:
            found = self._search(reader, node, read, keys, keys.days, known)
        except NotMade:  # the driver's table is gone
            return in_span
        except (CannotRead, Damaged):
            raise
        except Exception as error:  # a key that the driver lacks, or that is no number there: of this reader alone
            logger.warning(f"{node.name}: meta.reads of {read.asset}: all its days count as changed, since: {error}")
            return in_span
        return found | (in_span & (changed | self._days_of_other_inputs(node, known)))

    def _known_days(self, node: ModelNode) -> Window:
        """The days that have a partition or a record."""
        settings = self._project.settings
        partitions = partitioned_days(settings, datetime.now(UTC), self._project.catalog[node.name].calendar)
        recorded = self._builds.read(node.name, _DATED)
        return Window.of_days(min([partitions.start, *recorded]), max([partitions.end - ONE_DAY, *recorded]))

    def _days_of_other_inputs(self, node: ModelNode, known: Window) -> set[date]:
        """The days without a record, or whose upstream days are not those that they were made from."""
        project = self._project
        builds = self._builds.read(node.name, known)
        reads = by_day(project.manifest.reads_of(node))
        inputs = input_versions(reads, known, recorded_builds(project.catalog, project.settings))
        return {day for day in known.days() if day not in builds or builds[day].inputs_by_day != inputs[day]}

    def _search(
        self, reader: Reader, node: ModelNode, read: Read, keys: "_Noted", upstream_days: Set[date], known: Window
    ) -> set[date]:
        """The days of a reader in whose driver's rows the keys occur, as far as they have a partition, or soon one."""
        quoted = self._project.warehouse.quoted
        driver = self._project.manifest.made[read.of]
        driver_days = next((one.days for one in by_day(node.mappings) if one.asset == read.of), PartitionOffsets())
        readers = read.days.downstream_of(Window.of_days(min(upstream_days), max(upstream_days)))
        day, key = f"driver.{quoted(driver.day)}", [f"driver.{quoted(c)} = changed.{quoted(c)}" for c in read.key]
        whenever = read.days == PartitionOffsets(None, None)
        found = reader.rows(
            f"select distinct {day}, {'null' if whenever else 'changed._day'} from {driver.relation_name} as driver"
            f" inner join {keys.table} as changed on {' and '.join(key)}"
            f" where {between(day, driver_days.upstream_of(readers))}"
            f" and {keys.condition(self._project.warehouse)}"
        )
        within = Window(known.start, known.end + 2 * ONE_DAY)  # midnight may pass before the day is recorded
        days: set[date] = set()
        for driver_day, upstream_day in found.rows:
            its_days = driver_days.downstream_of(Window.of_days(driver_day, driver_day)).within(within)
            if its_days and upstream_day:
                its_days = its_days.within(read.days.downstream_of(Window.of_days(upstream_day, upstream_day)))
            days.update(its_days.days() if its_days else ())
        return days


@dataclass(frozen=True)
class _Noted:
    """The keys that some calls of dbt noted.

    Attributes:
        days: the upstream days with changed rows; None if the upstream table was made newly.
    """

    table: str
    invocations: frozenset[str]
    days: frozenset[date] | None

    def condition(self, warehouse: Warehouse) -> str:
        """A condition on the table: keys that are noted meanwhile are not among them."""
        return f"_invocation in ({', '.join(warehouse.text(one) for one in sorted(self.invocations))})"


def _noted(reader: Reader, tables: Iterable[str]) -> dict[str, _Noted]:
    found = {}
    for table in sorted(tables):
        try:
            rows = reader.rows(f"select distinct _invocation, _day from {table}").rows
        except NotMade:  # nothing was ever noted
            continue
        if rows:
            days = frozenset(day for _, day in rows)
            found[table] = _Noted(table, frozenset(one for one, _ in rows), None if None in days else days)
    return found


def table_of_changed_keys(upstream: ModelNode, read: Read) -> str:
    """The full name of the table in which dbt notes changed keys, as `tables_of_changed_keys` in macros/keys.sql."""
    said = f"{','.join(read.key)}|{','.join(read.columns)}"
    suffix = hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()[:8]
    before, _, after = upstream.relation_name.rpartition(upstream.alias)
    return f"{before}{upstream.alias}__changed_{suffix}{after}"
