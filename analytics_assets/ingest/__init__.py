"""From files in the inbox to raw days: source specs, landing, parsing, rejected rows, the sensor.

Knows no domain: a domain hands it `Source` specs.
"""
