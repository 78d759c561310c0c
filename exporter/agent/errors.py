"""What can go wrong when the agent is set up; while it runs it raises nothing."""

from __future__ import annotations


class AgentError(Exception):
    """Base of every error of the agent; the message names the setting and says what to do."""


class AgentConfigError(AgentError):
    """A setting has a value that makes no sense."""
