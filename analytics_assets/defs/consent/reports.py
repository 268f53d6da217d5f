"""The report of consent analytics: what the dashboard and the workbook show."""

from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Distinct,
    Format,
    Measure,
    Ratio,
    Report,
    Shape,
    Sum,
    Table,
)

_EVENTS, _ANSWERS = "mart_consent_breakdown_daily", "mart_consent_answers_daily"
_WHO = ("company_id", "industry_back", "industry_front", "hq_country", "country_code")
_TYPES = ("pageview", "consent.asked", "consent.given", "ui.action")
_STATUSES = ("full opt-in", "partial opt-in", "opt-out", "empty")
_OF_A_GROUP = (
    "total_events",
    "asked",
    "given",
    "conversion_rate",
    "full_opt_in_share",
    "countries",
    "avg_seconds_asked_to_given",
)
"""The measures that are shown of each group: of all, of a company, of a day."""


def _events(**where: str) -> Sum:
    """Events of a type or a status; all events if none is given."""
    chosen = {column: (value,) for column, value in where.items()}
    return Sum(_EVENTS, "events", chosen, variance="events_variance", rows="sampled_rows")


CONSENT_REPORT = Report(
    name="consent",
    title="Consent analytics",
    days=90,
    datasets=(
        Dataset(_EVENTS, (*_WHO, "event_type", "consent_status"), ("events", "events_variance", "sampled_rows")),
        Dataset(_ANSWERS, _WHO, ("answers", "pairs", "pair_seconds", "records", "record_seconds")),
    ),
    dimensions=(
        Dimension("company_id", "Company", is_filter=True, is_identifier=True),
        Dimension("industry_front", "Industry", is_filter=True),
        Dimension("industry_back", "Industry in detail", is_filter=True),
        Dimension("hq_country", "Headquarters", is_filter=True),
        Dimension("country_code", "Country", is_filter=True, is_country=True),
        Dimension("event_type", "Event type", values=_TYPES),
        Dimension("consent_status", "Consent status", values=_STATUSES),
    ),
    measures=(
        Measure(
            "total_events",
            "Events",
            _events(),
            Format.COUNT,
            "Events of all types, extrapolated from those that were sampled.",
        ),
        Measure(
            "asked",
            "Consent asked",
            _events(event_type="consent.asked"),
            Format.COUNT,
            "Times that people were asked for consent, extrapolated from the sample.",
        ),
        Measure(
            "given",
            "Consent given",
            _events(event_type="consent.given"),
            Format.COUNT,
            "Times that people answered, with whatever status, extrapolated from the sample.",
        ),
        Measure(
            "conversion_rate",
            "Conversion rate",
            Ratio(_events(event_type="consent.given"), _events(event_type="consent.asked")),
            Format.SHARE,
            "Consent given / consent asked, over the whole selection; none where nothing was asked.",
            above_one="Above 100 %: more was given than asked. Asked events are sampled, given ones mostly not.",
            good="up",
        ),
        Measure(
            "full_opt_in_share",
            "Full opt-in",
            Ratio(_events(consent_status="full opt-in"), _events()),
            Format.SHARE,
            "Events with the status full opt-in, as a share of all events.",
            good="up",
        ),
        Measure(
            "countries",
            "Countries",
            Distinct(_EVENTS, "country_code", besides=("unknown",)),
            Format.COUNT,
            "Different countries in which events occurred; an event of several countries counts in each of them.",
        ),
        Measure(
            "avg_seconds_asked_to_given",
            "Time to answer",
            Ratio(Sum(_ANSWERS, "pair_seconds"), Sum(_ANSWERS, "pairs")),
            Format.SECONDS,
            "Mean seconds from asked to given, over the answers for which a question was found.",
            good="down",
        ),
        Measure(
            "pair_coverage",
            "Answers with a question",
            Ratio(Sum(_ANSWERS, "pairs"), Sum(_ANSWERS, "answers")),
            Format.SHARE,
            "Share of the answers that the time to answer speaks for.",
            good="up",
        ),
        Measure(
            "avg_seconds_created_to_updated",
            "Time to answer, second estimate",
            Ratio(Sum(_ANSWERS, "record_seconds"), Sum(_ANSWERS, "records")),
            Format.SECONDS,
            "Mean seconds between the times at which the consent's own record says that it was created and updated.",
        ),
    ),
    key_figures=(*_OF_A_GROUP, "avg_seconds_created_to_updated"),
    charts=(
        Chart(
            "Conversion rate by company",
            "conversion_rate",
            by="company_id",
            note="Consent given / asked; the line is the 95 % interval, where 30 rows were sampled.",
        ),
        Chart("Conversion rate over time", "conversion_rate", note="With its 95 % interval as a band."),
        Chart(
            "Consent statuses over time",
            "total_events",
            split="consent_status",
            as_shares=True,
            note="Share of all events.",
        ),
        Chart(
            "Consent statuses by company",
            "total_events",
            by="company_id",
            split="consent_status",
            as_shares=True,
            note="Share of all events; the company with most events first.",
        ),
        Chart("Event types over time", "total_events", split="event_type", note="Events, extrapolated."),
        Chart(
            "Event types by company", "total_events", by="company_id", split="event_type", note="Events, extrapolated."
        ),
        Chart(
            "Reach on the map",
            "total_events",
            by="country_code",
            shape=Shape.MAP,
            note="Events, extrapolated; the stronger, the more.",
        ),
        Chart(
            "Reach by country", "total_events", by="country_code", note="Events, extrapolated, with the code as sent."
        ),
        Chart("Countries reached over time", "countries", note="Different countries; they do not add up over days."),
        Chart("Time to answer over time", "avg_seconds_asked_to_given", note="Mean seconds from asked to given."),
        Chart("Events by industry", "total_events", by="industry_front", note="Events, extrapolated."),
    ),
    tables=(
        Table(
            "companies",
            "Companies",
            ("company_id",),
            (*_OF_A_GROUP, "pair_coverage", "avg_seconds_created_to_updated"),
            details=("industry_front", "industry_back", "hq_country"),
        ),
        Table("days", "Days", ("day",), _OF_A_GROUP),
        Table("consent_statuses", "Consent statuses", ("consent_status",), ("total_events",), shares=True),
        Table("event_types", "Event types", ("event_type",), ("total_events",), shares=True),
        Table("countries", "Countries", ("country_code",), ("total_events", "asked", "given", "conversion_rate")),
        Table("industries", "Industries", ("industry_front", "industry_back"), ("total_events", "conversion_rate")),
    ),
    notes=(
        "The intervals are 95 % ones from the sampling alone: Horvitz and Thompson (1952) for volumes, the linearized "
        "ratio estimator (Cochran, 1977) for rates. There is none below 30 sampled rows.",
        "Consent asked is sampled and consent given mostly is not, so a rate may come out above 100 %. Where no person "
        "is known, an answer is paired with the newest question of the same device and place: trust the time to answer "
        "as far as the share of answers with a question reaches.",
    ),
)
