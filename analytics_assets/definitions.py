"""The Dagster code location: gathers all domains below `defs/`. `build.py` turns them into assets and sensors."""

import gc

from dagster import Definitions

from analytics_assets.build import build_definitions, open_project
from analytics_assets.defs import find_domains
from analytics_assets.settings import get_settings

project = open_project(get_settings(), find_domains())

defs: Definitions = build_definitions(project)

gc.freeze()  # what is loaded stays; no later search for garbage, not even the one at exit, looks through it again
