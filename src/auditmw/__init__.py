"""auditmw: an audit trail for LLM calls.

Who asked what, when, of which model, what came back, what was removed before it was sent, what it cost and how it
ended, and that nothing has been changed or left out since.
"""

from auditmw.call import Call
from auditmw.entry import AuditEntry
from auditmw.errors import AuditError, Blocked, CallBlocked, NotConfigured, PipelineError
from auditmw.globals import audited, configure
from auditmw.recognizers import scan
from auditmw.trail import AuditTrail

__all__ = [
    "AuditEntry",
    "AuditError",
    "AuditTrail",
    "Blocked",
    "Call",
    "CallBlocked",
    "NotConfigured",
    "PipelineError",
    "audited",
    "configure",
    "scan",
]
