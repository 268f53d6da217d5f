"""The outlines of the world's countries, from a package, so that a map needs no network."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

_POLES = {"AQ"}
"""Left out: Antarctica takes a fifth of the map, and no row is of it."""

Ring = list[list[float]]
"""Points of a longitude and a latitude, the last one equal to the first."""


@cache
def outlines() -> dict[str, dict[str, Any]]:
    """By the two letters of ISO 3166, the `name` and the `geometry`, as of GeoJSON, to a tenth of a degree.

    A country of which the package has no outline, such as most islands, is a point.
    """
    from countryinfo import all_countries  # reads 250 files, and is not needed to load the definitions

    found: dict[str, dict[str, Any]] = {}
    for country in all_countries():
        code = country.iso(2)
        features = (country.geo_json() or {}).get("features") or []
        geometry = _outline(features[0]["geometry"]) if features else None
        if geometry is None and code not in found:
            geometry = _point(country.latlng() or country.capital_latlng())
        if code and code not in _POLES and geometry:
            found[code] = {"name": country.name(), "geometry": geometry}
    return {code: found[code] for code in sorted(found)}


def _outline(geometry: dict[str, Any]) -> dict[str, Any] | None:
    """The rings of an outline that are wider than the rounding; None if none is."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    rings = [ring for polygon in polygons if (ring := _rounded(polygon[0]))]  # lakes and enclaves are left out
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]} if rings else None


def _rounded(ring: Sequence[Sequence[float]]) -> Ring:
    """A ring without points that are equal to the one before, clockwise; empty if it has no area.

    The other way round, it would be the rest of the globe.
    """
    points = [[round(float(number), 1) for number in point[:2]] for point in ring]
    kept = [point for at, point in enumerate(points) if at == 0 or point != points[at - 1]]
    area = sum(one[0] * other[1] - other[0] * one[1] for one, other in pairwise(kept))
    if abs(area) < 0.01:
        return []
    return kept if area < 0 else kept[::-1]


def _point(place: Sequence[Any] | None) -> dict[str, Any] | None:
    """A point from a latitude and a longitude, of which the package has some in another form."""
    if not place or not all(isinstance(number, int | float) for number in place):
        return None
    return {"type": "Point", "coordinates": [round(float(place[1]), 1), round(float(place[0]), 1)]}
