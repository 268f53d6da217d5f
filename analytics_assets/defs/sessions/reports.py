"""The report of sessions: what the dashboard and the workbook show."""

from analytics_assets.spec.report import (
    WEEKDAY,
    Chart,
    Dataset,
    Dimension,
    Format,
    Measure,
    Ratio,
    Report,
    Shape,
    Sum,
    Table,
)

_SESSIONS = "mart_sessions_daily"
_FROM = ("device", "landing_page", "utm_source", "utm_medium", "utm_campaign", "was_cut")


def _sum(column: str, **where: str) -> Sum:
    return Sum(_SESSIONS, column, {name: (value,) for name, value in where.items()})


def _per_session(column: str, **where: str) -> Ratio:
    return Ratio(_sum(column, **where), _sum("sessions", **where))


SESSIONS_REPORT = Report(
    name="sessions",
    title="Web sessions",
    days=90,
    datasets=(
        Dataset(
            _SESSIONS,
            _FROM,
            (
                "sessions",
                "bounces",
                "sessions_with_purchase",
                "sessions_over_midnight",
                "sessions_with_late_events",
                "events",
                "page_views",
                "duration_seconds",
            ),
        ),
    ),
    dimensions=(
        Dimension("device", "Device", is_filter=True),
        Dimension("landing_page", "Landing page", is_filter=True),
        Dimension("utm_source", "Source", is_filter=True),
        Dimension("utm_medium", "Medium"),
        Dimension("utm_campaign", "Campaign", is_filter=True),
        Dimension("was_cut", "Never idle", is_filter=True),
    ),
    measures=(
        Measure(
            "sessions",
            "Sessions",
            _sum("sessions"),
            Format.COUNT,
            "Sessions, on the day on which they began.",
            good="up",
        ),
        Measure(
            "bounce_rate",
            "Bounce rate",
            _per_session("bounces"),
            Format.SHARE,
            "Sessions that are one view of a page or a product alone, as a share of all.",
            good="down",
        ),
        Measure(
            "conversion_rate",
            "Sessions with a purchase",
            _per_session("sessions_with_purchase"),
            Format.SHARE,
            "Sessions with at least one purchase, as a share of all.",
            good="up",
        ),
        Measure(
            "seconds_per_session",
            "Duration",
            _per_session("duration_seconds", was_cut="false"),
            Format.SECONDS,
            "Mean seconds from the first event of a session to its last, without sessions of customers who are never "
            "idle; a bounce counts as 0.",
        ),
        Measure(
            "page_views_per_session",
            "Pages per session",
            _per_session("page_views", was_cut="false"),
            Format.MEAN,
            "Mean events of the type page_view in a session, without sessions of customers who are never idle.",
        ),
        Measure("events", "Events", _sum("events"), Format.COUNT, "Events of the sessions, of all types."),
        Measure(
            "midnight_share",
            "Over midnight",
            _per_session("sessions_over_midnight"),
            Format.SHARE,
            "Sessions that ended on the day after they began, as a share of all.",
        ),
        Measure(
            "late_share",
            "With late events",
            _per_session("sessions_with_late_events"),
            Format.SHARE,
            "Sessions with an event that landed late, as a share of all.",
            good="down",
        ),
        Measure(
            "cut_share",
            "Never idle",
            Ratio(_sum("sessions", was_cut="true"), _sum("sessions")),
            Format.SHARE,
            "Sessions of customers who were never idle on a whole day, bots mostly, as a share of all.",
        ),
    ),
    key_figures=(
        "sessions",
        "bounce_rate",
        "conversion_rate",
        "seconds_per_session",
        "page_views_per_session",
        "events",
        "midnight_share",
        "cut_share",
    ),
    charts=(
        Chart("Sessions over time", "sessions", split="device", note="By device."),
        Chart("Sessions with a purchase over time", "conversion_rate", note="Share of all sessions."),
        Chart("Bounce rate over time", "bounce_rate", note="Share of all sessions."),
        Chart(
            "Sessions with a purchase by weekday and device",
            "conversion_rate",
            by=WEEKDAY,
            split="device",
            shape=Shape.HEATMAP,
            note="Share of the sessions that began on the weekday, by UTC.",
        ),
        Chart("Sessions by source", "sessions", by="utm_source", note="(none): no event of the session names one."),
        Chart("Sessions with a purchase by source", "conversion_rate", by="utm_source", note="Share of its sessions."),
        Chart("Sessions by landing page", "sessions", by="landing_page", note="The page of the first event."),
        Chart("Bounce rate by landing page", "bounce_rate", by="landing_page", note="Share of its sessions."),
        Chart(
            "Sessions with late events over time",
            "late_share",
            note="Share of all sessions. After a first load of old files it is all of them.",
        ),
    ),
    tables=(
        Table(
            "days",
            "Days",
            ("day",),
            (
                "sessions",
                "bounce_rate",
                "conversion_rate",
                "seconds_per_session",
                "page_views_per_session",
                "midnight_share",
                "late_share",
                "cut_share",
            ),
        ),
        Table(
            "campaigns",
            "Campaigns",
            ("utm_source", "utm_medium", "utm_campaign"),
            ("sessions", "bounce_rate", "conversion_rate", "seconds_per_session"),
            shares=True,
        ),
        Table(
            "landing_pages",
            "Landing pages",
            ("landing_page",),
            ("sessions", "bounce_rate", "conversion_rate", "seconds_per_session", "page_views_per_session"),
            shares=True,
        ),
        Table(
            "devices",
            "Devices",
            ("device",),
            ("sessions", "bounce_rate", "conversion_rate", "seconds_per_session"),
            shares=True,
        ),
    ),
    notes=(
        "A session ends where its customer is idle for more than a set time, and counts on the day on which it began. "
        "Events of which no customer is known are in no session. docs/sessions.md says the whole rule.",
        "Sessions of the newest day may still go on over midnight: it grows with the events of the day after.",
        "Never idle is whoever has no pause of more than that time on a whole UTC day: bots, mostly. Their sessions "
        "end at midnight, and last for a day. The means are without them; the filter leaves them out everywhere.",
    ),
)
