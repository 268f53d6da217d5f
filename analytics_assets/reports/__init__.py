"""What people look at: from one declarative spec a self-contained HTML dashboard and a workbook, as of a day."""
