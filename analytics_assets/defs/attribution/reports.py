"""The report of marketing: what the dashboard, the workbook and the sheet show."""

from analytics_assets.defs.attribution.attribution_report import ATTRIBUTION_REPORT
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Format,
    Largest,
    Measure,
    Ratio,
    Report,
    ReportFile,
    Sum,
    Table,
)

_PERFORMANCE, _COHORTS = "campaign_performance_daily", "mart_cohort_daily"
_CURVE, _USERS = "ltv_by_age", "rpt_users"
_AGES = ("0 to 6", "7 to 29", "30 to 89", "90 and more", "before the install", "unknown")
_POINTS = tuple(map(str, (1, 2, 3, 4, 5, 6, 7, 10, 14, 21, 30, 45, 60, 75, 90)))
_NUMBERS = (
    "spend",
    "impressions",
    "clicks",
    "installs",
    "users",
    "installs_less_users",
    "touchpoints",
    "orphan_touchpoints",
    "conversions",
    "revenue",
    "rewards",
    "rewards_without_rate",
    "margin",
)


def _sum(column: str) -> Sum:
    return Sum(_PERFORMANCE, column)


def _ratio(over: str, under: str, times: int = 1) -> Ratio:
    return Ratio(_sum(over), _sum(under), times)


_OF_A_GROUP = (
    "spend", "revenue", "margin", "roas", "impressions", "cpm", "clicks", "ctr", "cpc", "installs", "cpi", "users",
    "cac", "touchpoints", "conversions",
)  # fmt: skip

_KEY_FIGURES = (
    "spend", "revenue", "margin", "roas", "users", "cac", "installs", "cpi", "conversions", "cpm", "cpc", "ctr",
)  # fmt: skip

_OF_A_USER = (
    "margin", "revenue", "rewards", "rewards_without_rate", "touchpoints", "conversions", "active_days",
)  # fmt: skip

MARKETING_REPORT = Report(
    name="marketing",
    title="Marketing and attribution",
    days=90,
    files=(ReportFile.DASHBOARD, ReportFile.WORKBOOK, ReportFile.SHEET),
    with_tabs_of=(ATTRIBUTION_REPORT,),
    datasets=(
        Dataset(_PERFORMANCE, ("channel", "campaign"), _NUMBERS),
        Dataset(
            _COHORTS, ("channel", "campaign", "install_month", "age_group"), ("payers", "revenue", "rewards", "margin")
        ),
        Dataset(_CURVE, ("channel", "campaign", "install_month", "age"), ("users", "margin"), day="install_date"),
        Dataset(
            _USERS,
            ("channel", "campaign", "user_id", "install_date", "last_activity_date"),
            _OF_A_USER,
            day="install_date",
            largest=Largest("margin"),
        ),
    ),
    dimensions=(
        Dimension("channel", "Channel", is_filter=True),
        Dimension("campaign", "Campaign", is_filter=True),
        Dimension("install_month", "Month of install"),
        Dimension("age_group", "Age in days", values=_AGES),
        Dimension("age", "Days since the install", values=_POINTS),
        Dimension("user_id", "User", is_identifier=True),
        Dimension("install_date", "Day of install"),
        Dimension("last_activity_date", "Last active"),
    ),
    measures=(
        Measure("spend", "Spend", _sum("spend"), Format.MONEY, "What was spent, by the channels' bills, in euros."),
        Measure(
            "revenue",
            "Revenue",
            _sum("revenue"),
            Format.MONEY,
            "What users brought, less refunds, in euros; by the channel that acquired them, whenever that was.",
            good="up",
        ),
        Measure(
            "rewards",
            "Rewards",
            _sum("rewards"),
            Format.MONEY,
            "The rewards that users were given, in euros; those that have no rate are not in it.",
        ),
        Measure(
            "rewards_without_rate",
            "Rewards without a rate",
            _sum("rewards_without_rate"),
            Format.COUNT,
            "How many rewards in another currency have no rate (yet): rewards and margin lack them.",
        ),
        Measure(
            "margin", "Margin", _sum("margin"), Format.MONEY, "Revenue less rewards, in euros, before spend.", good="up"
        ),
        Measure(
            "roas",
            "Return on ad spend",
            _ratio("revenue", "spend"),
            Format.SHARE,
            "Revenue as a share of the spend (ROAS), on the same days.",
            good="up",
            target=1,
        ),
        Measure("impressions", "Impressions", _sum("impressions"), Format.COUNT, "How often campaigns were shown."),
        Measure(
            "cpm",
            "Cost per 1,000 impressions",
            _ratio("spend", "impressions", 1_000),
            Format.MONEY,
            "Euros for a thousand impressions (CPM).",
            good="down",
        ),
        Measure("clicks", "Clicks", _sum("clicks"), Format.COUNT, "How often they were clicked."),
        Measure(
            "ctr",
            "Click-through rate",
            _ratio("clicks", "impressions"),
            Format.SHARE,
            "Clicks as a share of the impressions (CTR).",
            good="up",
        ),
        Measure(
            "cpc", "Cost per click", _ratio("spend", "clicks"), Format.MONEY, "Euros for each click (CPC).", good="down"
        ),
        Measure(
            "installs", "Installs", _sum("installs"), Format.COUNT, "Installs, as the channels count them.", good="up"
        ),
        Measure(
            "cpi",
            "Cost per install",
            _ratio("spend", "installs"),
            Format.MONEY,
            "Euros for an install (CPI).",
            good="down",
        ),
        Measure(
            "users", "New users", _sum("users"), Format.COUNT, "Users of the users file, by their install.", good="up"
        ),
        Measure(
            "cac",
            "Cost per new user",
            _ratio("spend", "users"),
            Format.MONEY,
            "Euros for each new user (CAC), organic users included unless they are filtered out.",
            good="down",
        ),
        Measure(
            "installs_less_users",
            "Installs without user",
            _sum("installs_less_users"),
            Format.COUNT,
            "Installs that channels bill, less the users that are known; negative where nobody bills an install.",
        ),
        Measure("touchpoints", "Touches", _sum("touchpoints"), Format.COUNT, "What users saw or clicked, by channel."),
        Measure(
            "conversions",
            "Conversions",
            _sum("conversions"),
            Format.COUNT,
            "Touches at which a user converted, by the channel of the touch.",
            good="up",
        ),
        Measure(
            "conversion_rate",
            "Conversion rate",
            _ratio("conversions", "touchpoints"),
            Format.SHARE,
            "Conversions as a share of the touches.",
            good="up",
        ),
        Measure(
            "orphan_touchpoints",
            "Touches of unknown users",
            _sum("orphan_touchpoints"),
            Format.COUNT,
            "Touches of users whom the users file does not hold (yet).",
        ),
        Measure(
            "unknown_revenue",
            "Revenue of unknown users",
            Sum(_PERFORMANCE, "revenue", where={"channel": ("unknown",)}),
            Format.MONEY,
            "Revenue of users without a known channel, in euros.",
        ),
        Measure(
            "cohort_revenue",
            "Revenue by age",
            Sum(_COHORTS, "revenue"),
            Format.MONEY,
            "Revenue as above, in euros, by the month of the users' install and their age in days.",
        ),
        Measure(
            "cohort_rewards",
            "Rewards by age",
            Sum(_COHORTS, "rewards"),
            Format.MONEY,
            "Rewards as above, in euros, by the month of the users' install and their age in days.",
        ),
        Measure(
            "cohort_margin",
            "Margin by age",
            Sum(_COHORTS, "margin"),
            Format.MONEY,
            "Margin as above, in euros, by the month of the users' install and their age in days.",
        ),
        Measure(
            "paying_days",
            "Paying days",
            Sum(_COHORTS, "payers"),
            Format.COUNT,
            "Users who paid, summed over the days: one who pays on two days counts twice.",
        ),
        Measure(
            "ltv",
            "Lifetime value",
            Ratio(Sum(_CURVE, "margin"), Sum(_CURVE, "users")),
            Format.MONEY,
            "Euros of margin for each user from the install until an age (LTV), of the cohorts that have reached the "
            "age by the newest day.",
        ),
        Measure(
            "ltv_users",
            "Users of that age",
            Sum(_CURVE, "users"),
            Format.COUNT,
            "Users who installed within the selected days and have reached the age.",
        ),
        Measure(
            "ltv_margin",
            "Margin until that age",
            Sum(_CURVE, "margin"),
            Format.MONEY,
            "What these users have brought until the age, in euros.",
        ),
        *(
            Measure(f"user_{name}", title, Sum(_USERS, name), form, note)
            for name, title, form, note in (
                ("margin", "Margin so far", Format.MONEY, "Revenue less rewards of a user until the newest day (LTV)."),
                ("revenue", "Revenue so far", Format.MONEY, "What a user has brought until the newest day, in euros."),
                ("rewards", "Rewards so far", Format.MONEY, "The rewards that a user was given until the newest day."),
                (
                    "rewards_without_rate",
                    "Without a rate so far",
                    Format.COUNT,
                    "How many rewards of a user have no rate (yet): rewards and margin so far lack them.",
                ),
                ("touchpoints", "Touches so far", Format.COUNT, "What a user has seen or clicked."),
                ("conversions", "Conversions so far", Format.COUNT, "Touches at which a user converted."),
                ("active_days", "Active days", Format.COUNT, "Days on which a user was touched or paid."),
            )
        ),
    ),
    key_figures=_KEY_FIGURES,
    charts=(
        Chart("Spend over time", "spend", split="channel", note="Euros, by channel."),
        Chart("Revenue over time", "revenue", split="channel", note="Euros, by the channel of acquisition."),
        Chart("New users over time", "users", split="channel", note="By the day of their install."),
        Chart("Return on ad spend over time", "roas", note="Revenue as a share of the spend of the same time."),
        Chart("Conversions over time", "conversions", split="channel", note="By the channel of the touch."),
        Chart("Margin over time", "cohort_margin", split="age_group", note="Euros, by age of the users in days."),
        Chart(
            "LTV by age",
            "ltv",
            by="age",
            split="install_month",
            lines=True,
            note="Euros of margin for each user who installed within the selected days, by month of install. Cohorts "
            "that are too young for an age are not in its point.",
        ),
        Chart("Spend by channel", "spend", by="channel", note="Euros; email and organic are not paid for."),
        Chart("Margin by channel", "margin", by="channel", note="Euros, by the channel of acquisition, before spend."),
        Chart("Cost per new user by channel", "cac", by="channel", note="Euros."),
        Chart("Return on ad spend by channel", "roas", by="channel", note="Revenue as a share of the spend."),
        Chart("Conversions by channel", "conversions", by="channel", note="By the channel of the touch."),
        Chart("Return on ad spend by campaign", "roas", by="campaign", note="Revenue as a share of the spend."),
        Chart(
            "Margin by month of install",
            "cohort_margin",
            by="install_month",
            split="age_group",
            note="Euros within the selected days, by age of the users in days.",
        ),
        Chart(
            "Installs without user over time",
            "installs_less_users",
            note="Installs that channels bill, less known users; organic users, whom nobody bills, are below zero.",
        ),
    ),
    tables=(
        Table("days", "Days", ("day",), _OF_A_GROUP),
        Table("channels", "Channels", ("channel",), (*_OF_A_GROUP, "conversion_rate"), shares=True),
        Table("campaigns", "Campaigns", ("campaign", "channel"), _OF_A_GROUP, shares=True),
        Table(
            "cohorts",
            "Cohorts",
            ("install_month", "age_group"),
            ("cohort_margin", "cohort_revenue", "cohort_rewards", "paying_days"),
            shares=True,
        ),
        Table("ltv", "LTV by age", ("install_month", "age"), ("ltv", "ltv_margin", "ltv_users"), in_order=True),
        Table(
            "users",
            "Users",
            ("user_id",),
            tuple(f"user_{name}" for name in _OF_A_USER),
            details=("channel", "campaign", "install_date", "last_activity_date"),
        ),
        Table(
            "quality",
            "Quality",
            ("day",),
            (
                "installs",
                "users",
                "installs_less_users",
                "touchpoints",
                "orphan_touchpoints",
                "revenue",
                "unknown_revenue",
                "rewards_without_rate",
            ),
        ),
    ),
    notes=(
        "Spend, clicks and installs are as the channels bill them. Users are those of the users file, on the day of "
        "their install. The two are not the same, and are never added.",
        "Revenue and rewards count for the channel that acquired the user, conversions for the channel of the touch.",
        "Revenue of a day is mostly of users who installed before it: the return on ad spend of a day is not that of "
        "its spend. What a cohort brings by an age (LTV) relates to it.",
        "LTV and users are as of the newest day with revenue, and of those who installed within the selected days. All "
        "users count, whether they paid or not.",
        "Users whom the users file does not hold (yet) count as unknown; they move to their channel when it does.",
        "Rewards in another currency count at the rate of their day, or of the week before it. Where there is none, "
        "rewards and margin lack the reward, and the margin is too high; the check rewards_have_a_rate names the days.",
        "Ratios are ratios of sums over what is selected, never averages of ratios.",
    ),
)
