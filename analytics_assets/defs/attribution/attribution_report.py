"""The report of attribution: spend against what models credit to channels, how far the models are apart, and advice."""

from analytics_assets.defs.attribution.advice import STRATEGIC_RECOMMENDATIONS, UNFINISHED_DAYS
from analytics_assets.defs.attribution.models_report import DAILY_MODELS, MODELS_REPORT
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Format,
    Measure,
    Ratio,
    Report,
    ReportFile,
    Sentences,
    Spread,
    Sum,
    Table,
)

MODELS = ("linear", *(model for model in DAILY_MODELS if model != "linear"))
"""The models that divide each conversion by itself; the first one is shown unless another is chosen."""

LENGTHS = ("no touch", "1", "2", "3", "4", "5", "6 to 9", "10 and more")
TIMES = (
    "no touch",
    "under 1 hour",
    "1 to 24 hours",
    "1 to 7 days",
    "7 to 14 days",
    "14 to 30 days",
    "30 days and more",
)

_MODELS, _ADVICE = MODELS_REPORT.name, STRATEGIC_RECOMMENDATIONS.name
_DAILY, _TYPES, _PATHS = "attribution_daily", "attribution_by_type_daily", "mart_paths_daily"
_SPEND = Sum(_DAILY, "spend", is_exact=True)
_CONVERSIONS, _REVENUE = (
    Sum(_DAILY, column, variance=f"{column}_variance", rows=f"{column}_rows")
    for column in ("credited_conversions", "credited_revenue")
)
_WITH_TOUCH = Sum(_PATHS, "conversions_with_touch")

_OF_A_CHANNEL = ("spend", "credited_revenue", "roas", "credited_conversions", "cac", "influenced", "touchpoints")

ATTRIBUTION_REPORT = Report(
    name="attribution",
    title="Attribution of conversions and revenue",
    days=90,
    files=(ReportFile.DASHBOARD,),
    datasets=(
        Dataset(
            _DAILY,
            ("channel", "campaign", "model"),
            (
                *("spend", "touchpoints", "influenced_conversions"),
                *("credited_conversions", "credited_conversions_variance", "credited_conversions_rows"),
                *("credited_revenue", "credited_revenue_variance", "credited_revenue_rows"),
            ),
        ),
        Dataset(
            _TYPES, ("channel", "campaign", "touchpoint_type", "model"), ("credited_conversions", "credited_revenue")
        ),
        Dataset(
            _PATHS,
            ("channel", "campaign", "path_length", "time_to_convert"),
            ("conversions", "conversions_with_touch", "touches", "channels", "days_to_convert"),
        ),
        Dataset(
            _MODELS,
            ("channel", "model", "supported_by"),
            (
                *("share", "credited_conversions", "conversions_low", "conversions_high"),
                *("credited_revenue", "revenue_low", "revenue_high"),
                *("calibrated_conversions", "calibrated_low", "calibrated_high"),
            ),
            is_analysis=True,
        ),
        Dataset(
            _ADVICE,
            ("rank", "rule", "sentence", "about", "by_model", "unit"),
            ("value", "low", "high"),
            is_analysis=True,
        ),
    ),
    dimensions=(
        Dimension("channel", "Channel", is_filter=True),
        Dimension("campaign", "Campaign", is_filter=True),
        Dimension("model", "Model", one_of=MODELS),
        Dimension("touchpoint_type", "Type of touch"),
        Dimension("path_length", "Touches of the path", values=LENGTHS),
        Dimension("time_to_convert", "From first touch to conversion", values=TIMES),
        Dimension("supported_by", "Supported by"),
        Dimension("rank", "Rank"),
        Dimension("rule", "Rule"),
        Dimension("sentence", "Sentence"),
        Dimension("about", "About"),
        Dimension("by_model", "By model"),
        Dimension("unit", "Unit"),
    ),
    measures=(
        Measure(
            "disagreement",
            "Disagreement of the models",
            Spread(_CONVERSIONS, across="model", part="channel"),
            Format.SHARE,
            "The largest less the smallest share that the models give a channel of the conversions; over several "
            "channels, that of the one on which they are farthest apart.",
            good="down",
        ),
        Measure("spend", "Spend", _SPEND, Format.MONEY, "What was spent, by the channels' bills, in euros."),
        Measure(
            "credited_revenue",
            "Credited revenue",
            _REVENUE,
            Format.MONEY,
            "Revenue of the day, divided as the chosen model divides the newest conversion of its user, in euros; what "
            "follows no conversion is of the channel unattributed.",
            unfinished_days=UNFINISHED_DAYS,
            good="up",
        ),
        Measure(
            "roas",
            "Credited return on ad spend",
            Ratio(_REVENUE, _SPEND),
            Format.SHARE,
            "Credited revenue as a share of the spend (ROAS) of the same days, by the chosen model; revenue of "
            "channels that cost nothing is included unless they are filtered out.",
            unfinished_days=UNFINISHED_DAYS,
            good="up",
            target=1,
        ),
        Measure(
            "credited_conversions",
            "Credited conversions",
            _CONVERSIONS,
            Format.COUNT,
            "Conversions of the day, divided among the touches of their paths by the chosen model.",
            good="up",
        ),
        Measure(
            "cac",
            "Cost per credited conversion",
            Ratio(_SPEND, _CONVERSIONS),
            Format.MONEY,
            "Euros for each credited conversion (CAC) of the same days, by the chosen model; those of channels that "
            "cost nothing are included unless they are filtered out.",
            good="down",
        ),
        Measure(
            "influenced",
            "Influenced conversions",
            Sum(_DAILY, "influenced_conversions"),
            Format.COUNT,
            "Conversions with a touch of the channel in their path, whatever the model; not to be added up over "
            "channels.",
        ),
        Measure("touchpoints", "Touches", Sum(_DAILY, "touchpoints"), Format.COUNT, "What users saw or clicked."),
        Measure(
            "unattributed",
            "Revenue of no touch",
            Ratio(
                Sum(_DAILY, "credited_revenue", where={"channel": ("unattributed",)}), Sum(_DAILY, "credited_revenue")
            ),
            Format.SHARE,
            "Revenue that follows no conversion, or one that no touch led to, as a share of all revenue.",
            good="down",
        ),
        Measure(
            "type_conversions",
            "Conversions by type of touch",
            Sum(_TYPES, "credited_conversions"),
            Format.COUNT,
            "Credited conversions by the type of the touch that gets the credit, such as clicks and mere views.",
        ),
        Measure(
            "type_revenue",
            "Revenue by type of touch",
            Sum(_TYPES, "credited_revenue"),
            Format.MONEY,
            "Credited revenue by the type of the touch that gets the credit, in euros.",
        ),
        Measure(
            "conversions",
            "Conversions",
            Sum(_PATHS, "conversions"),
            Format.COUNT,
            "Touches at which a user converted; of a channel, those whose path ended with it.",
        ),
        Measure(
            "touches_of_path",
            "Touches of a path",
            Ratio(Sum(_PATHS, "touches"), _WITH_TOUCH),
            Format.MEAN,
            "Touches until a conversion on average, of the conversions with any.",
        ),
        Measure(
            "channels_of_path",
            "Channels of a path",
            Ratio(Sum(_PATHS, "channels"), _WITH_TOUCH),
            Format.MEAN,
            "Different channels of a path on average, of the conversions with any touch.",
        ),
        Measure(
            "days_to_convert",
            "Days to convert",
            Ratio(Sum(_PATHS, "days_to_convert"), _WITH_TOUCH),
            Format.MEAN,
            "Days from the first touch of a path to its conversion on average, of the conversions with any touch.",
        ),
        *(
            Measure(f"all_{name}", title, Sum(_MODELS, name), form, note)
            for name, title, form, note in (
                (
                    "share",
                    "Share of conversions",
                    Format.SHARE,
                    "What a model gives a channel of the conversions, over all days of the report, as all in the "
                    "table of all models.",
                ),
                ("credited_conversions", "Conversions by it", Format.MEAN, "Conversions that a model credits."),
                ("conversions_low", "Conversions, from", Format.MEAN, "The lower end of their 95 % interval."),
                ("conversions_high", "Conversions, to", Format.MEAN, "The upper end of it."),
                ("credited_revenue", "Revenue by it", Format.MONEY, "Revenue that a model credits, in euros."),
                ("revenue_low", "Revenue, from", Format.MONEY, "The lower end of its 95 % interval."),
                ("revenue_high", "Revenue, to", Format.MONEY, "The upper end of it."),
                (
                    "calibrated_conversions",
                    "Calibrated conversions",
                    Format.MEAN,
                    "The conversions by it, times what a lift test measured over what the model credited in its days.",
                ),
                ("calibrated_low", "Calibrated, from", Format.MEAN, "The lower end by the test's interval."),
                ("calibrated_high", "Calibrated, to", Format.MEAN, "The upper end of it."),
            )
        ),
        *(
            Measure(f"advice_{name}", title, Sum(_ADVICE, name), Format.PLAIN, note)
            for name, title, note in (
                ("value", "Value", "The number of a recommendation, in its unit."),
                ("low", "Value, from", "The lower end of its range: of a 95 % interval, or the least of all models."),
                ("high", "Value, to", "The upper end of its range."),
            )
        ),
    ),
    key_figures=(
        "disagreement",
        "spend",
        "credited_revenue",
        "roas",
        "credited_conversions",
        "cac",
        "unattributed",
        "touches_of_path",
        "channels_of_path",
        "days_to_convert",
    ),
    charts=(
        Chart(
            "Spend against credited revenue by channel",
            "credited_revenue",
            by="channel",
            against="spend",
            note="Euros, by the chosen model. Where the mark is beyond the bar, more was spent than is credited.",
        ),
        Chart(
            "Disagreement of the models by channel",
            "disagreement",
            by="channel",
            note="The largest less the smallest share that the eight models give the channel of the conversions.",
        ),
        Chart("Return on ad spend by channel", "roas", by="channel", note="Credited revenue as a share of the spend."),
        Chart(
            "Return on ad spend over time",
            "roas",
            note="Credited revenue as a share of the spend of the same time, by the chosen model.",
        ),
        Chart(
            "Conversions by model",
            "credited_conversions",
            by="model",
            split="channel",
            as_shares=True,
            in_order=True,
            note="How each model divides the same conversions among the channels.",
        ),
        Chart(
            "Conversions by all models",
            "all_credited_conversions",
            by="model",
            split="channel",
            as_shares=True,
            in_order=True,
            note="With the models that look at all paths; over all days of the report, whichever are selected.",
        ),
        Chart("Credited revenue over time", "credited_revenue", split="channel", note="Euros, by the chosen model."),
        Chart("Cost per credited conversion by channel", "cac", by="channel", note="Euros, by the chosen model."),
        Chart(
            "Clicks against views by channel",
            "type_conversions",
            by="channel",
            split="touchpoint_type",
            as_shares=True,
            note="Credited conversions by the type of the touch, by the chosen model.",
        ),
        Chart(
            "Paths by their touches",
            "conversions",
            by="path_length",
            in_order=True,
            note="Conversions, by the number of touches that led to them.",
        ),
        Chart(
            "Paths by their time",
            "conversions",
            by="time_to_convert",
            in_order=True,
            note="Conversions, by the time from the first touch of the path.",
        ),
        Chart("Days to convert by channel", "days_to_convert", by="channel", note="By the channel of the last touch."),
    ),
    tables=(
        Table("credit_channels", "Credit by channel", ("channel",), (*_OF_A_CHANNEL, "disagreement"), shares=True),
        Table("credit_campaigns", "Credit by campaign", ("campaign", "channel"), _OF_A_CHANNEL, shares=True),
        Table(
            "credit_models",
            "Credit by model",
            ("channel", "model"),
            ("credited_conversions", "credited_revenue", "spend", "roas", "cac"),
            in_order=True,
        ),
        Table(
            "credit_days",
            "Credit by day",
            ("day",),
            ("spend", "credited_revenue", "roas", "credited_conversions", "cac", "disagreement"),
        ),
        Table(
            "types",
            "Clicks and views",
            ("channel", "touchpoint_type"),
            ("type_conversions", "type_revenue"),
            shares=True,
        ),
        Table(
            "paths",
            "Paths",
            ("path_length", "time_to_convert"),
            ("conversions", "touches_of_path", "channels_of_path", "days_to_convert"),
            in_order=True,
        ),
        Table(
            "all_models",
            "All models",
            ("channel", "model"),
            (
                *("all_share", "all_credited_conversions", "all_conversions_low", "all_conversions_high"),
                *("all_credited_revenue", "all_revenue_low", "all_revenue_high"),
                *("all_calibrated_conversions", "all_calibrated_low", "all_calibrated_high"),
            ),
            details=("supported_by",),
            in_order=True,
        ),
        Table(
            "recommendations",
            "Recommendations in numbers",
            ("rank", "rule", "about", "by_model", "sentence", "unit"),
            ("advice_value", "advice_low", "advice_high"),
            in_order=True,
        ),
    ),
    sentences=Sentences(_ADVICE, "Recommendations", text="sentence", under="rule", shown=2),
    notes=(
        f"Of the models, one is chosen at a time; it is {MODELS[0]} unless another is. All of them divide the same "
        "conversions and revenue, to the last digit. None says what would have happened without a channel.",
        "Spend is of no model, and the same whichever is chosen.",
        f"The newest {UNFINISHED_DAYS} days are unfinished: what their spend brings is still to come. Those days are "
        "shaded in credited revenue and its return.",
        "Conversions are credited on their own day, revenue on its own, and spend stands on the day of the bill. So a "
        "return compares what was spent and what came in on the same days, not a campaign with its fruit.",
        "A path stands under the channel of its last touch.",
        "Intervals tell of chance alone: how the sums would vary if as many users came again, not how wrong a model "
        "is. They take channels as independent, which is too narrow for the sum of several that share paths.",
        "The models' disagreement is among the selected channels, over the selected days.",
        "Ratios are ratios of sums over what is selected, never averages of ratios.",
    ),
)
