"""The brokers of all deployments of the configuration."""

from __future__ import annotations

from collections.abc import Iterable

from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.broker import Broker
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import NotFound
from celerytrail.exporter.deployment import Deployment


class Brokers:
    """Finds the broker of a deployment. Nothing is connected before it is needed."""

    def __init__(self, deployments: Iterable[DeploymentSettings], bounds: BrokerBounds) -> None:
        self._brokers = {settings.deployment: Broker(settings, bounds) for settings in deployments}

    def of(self, deployment: Deployment) -> Broker:
        """Return the broker of a deployment. Raises NotFound for one that is not configured."""
        broker = self._brokers.get(deployment)
        if broker is None:
            raise NotFound(
                f"the action API does not know deployment {deployment.label}: add a [[deployment]] "
                "for it to the file that CELERYTRAIL_ACTIONS_CONFIG names"
            )
        return broker

    def close(self) -> None:
        """Close all that is open."""
        for broker in self._brokers.values():
            broker.close()
