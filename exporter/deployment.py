"""Which Celery deployment a process belongs to: the three resource attributes that separate projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

DEFAULT_SERVICE = "celery"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One Celery deployment, which is one OpenTelemetry service.

    The three fields are the resource attributes ``service.namespace``, ``service.name`` and
    ``deployment.environment.name``. An unset namespace or environment is the empty string.
    """

    namespace: str
    service: str
    environment: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Deployment:
        """Read the deployment from environment variables, ours before OpenTelemetry's.

        ``CELERYTRAIL_NAMESPACE``, ``CELERYTRAIL_SERVICE`` and ``CELERYTRAIL_ENVIRONMENT`` win over
        ``OTEL_SERVICE_NAME``, which wins over ``OTEL_RESOURCE_ATTRIBUTES``. The agent calls this in
        other people's processes, so it reads the two standard variables without the SDK, by the
        rules of the OpenTelemetry environment variable specification.
        """
        resource = _resource_attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        return cls(
            namespace=environ.get("CELERYTRAIL_NAMESPACE") or resource.get("service.namespace", ""),
            service=environ.get("CELERYTRAIL_SERVICE")
            or environ.get("OTEL_SERVICE_NAME")
            or resource.get("service.name")
            or DEFAULT_SERVICE,
            environment=environ.get("CELERYTRAIL_ENVIRONMENT")
            or resource.get("deployment.environment.name")
            or resource.get("deployment.environment", ""),
        )

    @property
    def label(self) -> str:
        """Return ``namespace/service/environment``, unambiguous because slashes are escaped."""
        parts = (self.namespace, self.service, self.environment)
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _resource_attributes(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}
