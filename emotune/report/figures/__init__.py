"""The figures of the report: functions from tidy tables to matplotlib figures, which read and write no files."""
