"""What it takes to tell which errors may pass."""

import subprocess
import sys


def test_to_tell_what_may_pass_takes_none_of_googles_libraries() -> None:
    """They take a second to import, and a laptop's project never uses them."""
    code = "import sys; from analytics_assets.foundation import failures; failures.is_transient(ValueError());"
    code += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "analytics_assets.foundation.failures" in done.stdout
    assert not {"google.api_core", "google.auth", "google.cloud.bigquery"} & set(done.stdout.split())
