"""junit.xml: every verdict as a test case, for CI systems that show such files."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from compress.report.headline import tally_verdicts
from compress.report.rows import conditions
from compress.report.tables import printable
from compress.types import Results


def junit(results: Results) -> str:
    """FAIL becomes a failure, MISSING an error; the reason is the message.

    Without verdicts there is one error: CI systems take a file without test cases for a success.
    """
    statuses = [verdict.status for verdict in results.verdicts]
    counts = {
        "tests": str(len(statuses) or 1),
        "failures": str(sum(status not in ("PASS", "MISSING") for status in statuses)),
        "errors": str(statuses.count("MISSING") if statuses else 1),
    }
    root = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(root, "testsuite", {"name": printable(results.name), **counts})
    for verdict in results.verdicts:
        budget = verdict.budget
        limit = f"at most {budget.at_most}" if budget.at_most is not None else f"at least {budget.at_least}"
        title = printable(" ".join(filter(None, (budget.metric, limit, conditions(budget)))))
        case = Xml.SubElement(suite, "testcase", {"classname": printable(verdict.artifact), "name": title})
        if verdict.status != "PASS":
            kind = "error" if verdict.status == "MISSING" else "failure"
            Xml.SubElement(case, kind, {"type": verdict.status, "message": printable(verdict.reason)})
    if not results.verdicts:
        case = Xml.SubElement(suite, "testcase", {"classname": printable(results.name), "name": "no verdict"})
        Xml.SubElement(case, "error", {"type": "NO VERDICT", "message": tally_verdicts(results.verdicts)[2]})
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
