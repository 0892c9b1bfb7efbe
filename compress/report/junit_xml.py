"""junit.xml: every verdict as a test case, for CI systems that show such files."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from compress.report.tables import printable
from compress.types import Results


def junit(results: Results) -> str:
    """FAIL becomes a failure, MISSING an error; the reason is the message."""
    statuses = [verdict.status for verdict in results.verdicts]
    counts = {
        "tests": str(len(statuses)),
        "failures": str(sum(status not in ("PASS", "MISSING") for status in statuses)),
        "errors": str(statuses.count("MISSING")),
    }
    root = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(root, "testsuite", {"name": printable(results.name), **counts})
    for verdict in results.verdicts:
        budget = verdict.budget
        where = f" on {budget.target}" if budget.target else ""
        limit = f"at most {budget.at_most}" if budget.at_most is not None else f"at least {budget.at_least}"
        title = printable(f"{budget.metric}{where} {limit}")
        case = Xml.SubElement(suite, "testcase", {"classname": printable(verdict.artifact), "name": title})
        if verdict.status != "PASS":
            kind = "error" if verdict.status == "MISSING" else "failure"
            Xml.SubElement(case, kind, {"type": verdict.status, "message": printable(verdict.reason)})
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
