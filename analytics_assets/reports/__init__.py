"""What people look at: from one declarative spec a self-contained HTML dashboard and a workbook, as of a day.

Knows no domain, and no SQL but the one that reads the models of a spec.
"""
