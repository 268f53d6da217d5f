"""Reports: one declarative spec gives a self-contained HTML dashboard and a workbook, each as of a day."""
