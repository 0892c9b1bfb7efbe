"""Reports, drawn from a `Results` alone: a page, a comment for a pull request, test cases for CI, a terminal."""

from compress.report.comment import markdown
from compress.report.junit_xml import junit
from compress.report.page import html

__all__ = ["html", "junit", "markdown"]
