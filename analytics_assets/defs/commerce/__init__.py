"""Commerce: a shop's orders, products and customers, and what each is worth."""

from analytics_assets.defs.commerce.product_analyses import (
    MARGIN_CHANGES,
    PRODUCT_GROWTH,
    PRODUCT_OVERVIEW,
    REORDER_LIST,
    STOCK_COVER,
)
from analytics_assets.defs.commerce.reports import PRODUCT_REPORT
from analytics_assets.defs.commerce.simulator import simulate
from analytics_assets.defs.commerce.sources import (
    APP_USAGE,
    CUSTOMERS,
    INVENTORY,
    ORDER_ITEMS,
    ORDER_PAYMENTS,
    ORDER_REVIEWS,
    ORDERS,
    PRODUCT_CATEGORY_NAME_TRANSLATION,
    PRODUCTS,
    SELLERS,
    SUPPORT_TICKETS,
)
from analytics_assets.spec.domain import Domain

DOMAIN = Domain(
    name="commerce",
    owner="team:analytics",
    sources=(
        CUSTOMERS,
        ORDERS,
        ORDER_ITEMS,
        ORDER_PAYMENTS,
        ORDER_REVIEWS,
        PRODUCTS,
        SELLERS,
        PRODUCT_CATEGORY_NAME_TRANSLATION,
        INVENTORY,
        APP_USAGE,
        SUPPORT_TICKETS,
    ),
    analyses=(PRODUCT_GROWTH, PRODUCT_OVERVIEW, MARGIN_CHANGES, STOCK_COVER, REORDER_LIST),
    reports=(PRODUCT_REPORT,),
    simulate=simulate,
    is_demo=True,
)
