"""A reverse proxy under the audit middleware, for clients in any language: they change their base URL."""

from auditmw.gateway.application import gateway, serve

__all__ = ["gateway", "serve"]
