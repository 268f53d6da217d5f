"""What every room stands on: whole files and locks, errors said plainly, text fit to be shown. It knows no data."""
