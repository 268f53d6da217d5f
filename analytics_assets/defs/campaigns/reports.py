"""The report of campaigns: what the dashboard and the workbook show."""

from analytics_assets.spec.report import Chart, Dataset, Dimension, Format, Measure, Ratio, Report, Shape, Sum, Table

_PERFORMANCE = "core_campaign_performance"


def _sum(column: str) -> Sum:
    return Sum(_PERFORMANCE, column)


def _ratio(over: str, under: str) -> Ratio:
    return Ratio(_sum(over), _sum(under))


_OF_A_GROUP = ("total_cost", "total_revenue", "roas", "impressions", "clicks", "ctr", "cpc", "conversions")

CAMPAIGNS_REPORT = Report(
    name="campaigns",
    title="Campaign performance",
    days=90,
    datasets=(
        Dataset(
            _PERFORMANCE,
            ("platform", "region", "campaign_name", "campaign_id", "country"),
            ("impressions", "clicks", "conversions", "total_cost", "total_revenue"),
        ),
    ),
    dimensions=(
        Dimension("platform", "Platform", is_filter=True),
        Dimension("region", "Region", is_filter=True),
        Dimension("campaign_name", "Campaign", is_filter=True),
        Dimension("campaign_id", "Campaign id", is_identifier=True),
        Dimension("country", "Country"),
    ),
    measures=(
        Measure("total_cost", "Cost", _sum("total_cost"), Format.MONEY, "What the campaigns cost, in euros."),
        Measure(
            "total_revenue",
            "Revenue",
            _sum("total_revenue"),
            Format.MONEY,
            "What their conversions brought, in euros.",
            good="up",
        ),
        Measure(
            "roas",
            "Return on ad spend",
            _ratio("total_revenue", "total_cost"),
            Format.MEAN,
            "Euros of revenue for each euro of cost (ROAS).",
            good="up",
            target=1,
        ),
        Measure("impressions", "Impressions", _sum("impressions"), Format.COUNT, "How often campaigns were shown."),
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
            "cpc",
            "Cost per click",
            _ratio("total_cost", "clicks"),
            Format.MONEY,
            "Euros for each click (CPC).",
            good="down",
        ),
        Measure(
            "conversions",
            "Conversions",
            _sum("conversions"),
            Format.COUNT,
            "How often a click led to what the campaign is for, as the platform counts it.",
            good="up",
        ),
        Measure(
            "conversion_rate",
            "Conversion rate",
            _ratio("conversions", "clicks"),
            Format.SHARE,
            "Conversions as a share of the clicks.",
            good="up",
        ),
    ),
    key_figures=("total_cost", "total_revenue", "roas", "impressions", "clicks", "ctr", "cpc", "conversion_rate"),
    charts=(
        Chart("Cost over time", "total_cost", split="platform", note="Euros, by platform."),
        Chart("Revenue over time", "total_revenue", split="platform", note="Euros, by platform."),
        Chart("Return on ad spend over time", "roas", note="Euros of revenue for each euro of cost of the same time."),
        Chart("Click-through rate over time", "ctr", note="Share of the impressions of the same time."),
        Chart("Cost by region", "total_cost", by="region", note="unknown: the country is not in lookup_regions."),
        Chart("Return on ad spend by region", "roas", by="region", note="Euros of revenue for each euro of cost."),
        Chart("Cost by platform", "total_cost", by="platform", note="Euros."),
        Chart("Return on ad spend by platform", "roas", by="platform", note="Euros of revenue for each euro of cost."),
        Chart(
            "Revenue against cost by campaign",
            "total_revenue",
            by="campaign_name",
            against="total_cost",
            shape=Shape.SCATTER,
            note="Euros; each point is a campaign.",
        ),
        Chart("Revenue by campaign", "total_revenue", by="campaign_name", note="Euros; the campaigns with the most."),
        Chart("Return on ad spend by campaign", "roas", by="campaign_name", note="Euros of revenue for each of cost."),
    ),
    tables=(
        Table("days", "Days", ("day",), (*_OF_A_GROUP, "conversion_rate")),
        Table("platforms", "Platforms", ("platform",), (*_OF_A_GROUP, "conversion_rate"), shares=True),
        Table("regions", "Regions", ("region",), (*_OF_A_GROUP, "conversion_rate"), shares=True),
        Table("campaigns", "Campaigns", ("campaign_name", "campaign_id", "platform"), _OF_A_GROUP, shares=True),
        Table("countries", "Countries", ("country", "region"), _OF_A_GROUP, shares=True),
    ),
    notes=(
        "Figures are those that the platforms tell. They correct a day for some days after it: each pull brings the "
        "days that have changed, however old, and those are worked out anew.",
        "Amounts are in euros, by the rate that lookup_currency_rates holds for the day, so that a change of a rate "
        "changes figures as well.",
        "Ratios are ratios of sums over what is selected, never averages of ratios.",
    ),
)
