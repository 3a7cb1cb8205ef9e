"""The way in for web applications and servers of LLM endpoints: a pure ASGI middleware."""

from auditmw.asgi.actor import header, scope_user
from auditmw.asgi.middleware import AuditMiddleware

__all__ = ["AuditMiddleware", "header", "scope_user"]
