"""The outlines of countries, as a map draws them."""

import json
from itertools import pairwise

from analytics_assets.reports.countries import outlines

LARGE = (
    "AR",
    "AU",
    "BR",
    "CA",
    "CN",
    "DE",
    "DZ",
    "EG",
    "ES",
    "FR",
    "GB",
    "IN",
    "IT",
    "JP",
    "NO",
    "RU",
    "SE",
    "US",
    "ZA",
)


def test_a_country_has_an_outline_or_at_least_a_point() -> None:
    found = outlines()
    assert {found[code]["geometry"]["type"] for code in LARGE} == {"MultiPolygon"}
    assert found["HU"]["geometry"] == {"type": "Point", "coordinates": [20.0, 47.0]}, "the package has no outline of it"
    assert len(found) > 240
    assert "AQ" not in found
    assert found["DE"]["name"] == "Germany"
    assert all(len(code) == 2 and code.isupper() for code in found)


def test_a_ring_is_closed_and_clockwise_for_the_other_way_round_it_is_the_rest_of_the_globe() -> None:
    rings = [
        ring
        for country in outlines().values()
        if country["geometry"]["type"] == "MultiPolygon"
        for (ring,) in country["geometry"]["coordinates"]
    ]
    for ring in rings:
        assert ring[0] == ring[-1]
        assert sum(one[0] * other[1] - other[0] * one[1] for one, other in pairwise(ring)) < 0
        assert all(abs(east) <= 180 and abs(north) <= 90 for east, north in ring)


def test_the_outlines_are_small_enough_for_a_page() -> None:
    assert len(json.dumps(outlines())) < 200_000
