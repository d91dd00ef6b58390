"""The report of a finished study, and what a reader should doubt of it."""

PAGE = "report.html"
