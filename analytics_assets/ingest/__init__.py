"""From files in the inbox to raw days: what is new, landing, parsing, rejects, rows that wait."""
