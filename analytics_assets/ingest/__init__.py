"""From files in the inbox to raw days: new files, landing, parsing, rejects, waiting rows."""
