"""Questions that a trail answers, one a file. Pure: a stream of entries in, rows out; showing them is for others.

A report reads entries, so it says the same on every store.
"""

from __future__ import annotations

from typing import Final

from auditmw.reports import anomalies, cost, errors
from auditmw.reports.report import Report

REPORTS: Final[dict[str, Report]] = {report.name: report for report in (cost.REPORT, anomalies.REPORT, errors.REPORT)}
"""Every report by its name."""
