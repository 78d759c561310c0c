"""The command ``celerytrail``: finds its subcommands by entry point and imports only the one that is called."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import click

GROUP = "celerytrail.commands"
EXTRAS = {
    "action-api": "actions",
    "cancel": "actions",
    "checkpoint": "checkpoint",
    "dashboards": "dashboards",
    "epoch": "checkpoint",
    "purge": "actions",
    "retry": "actions",
    "retry-chord": "actions",
    "terminate": "actions",
    "sink": "sink",
    "doctor": "sink",
    "migrate": "sink",
    "maintain": "sink",
    "erase": "sink",
    "retain": "sink",
    "rebuild": "sink",
    "tokens": "sink",
    "verify": "sink",
    "demo": "demo",
    "keys": "seal",
    "witness": "checkpoint",
}
"""Which extra brings what a subcommand needs."""

SUMMARIES = {
    "action-api": "Serve the actions of operators: retry, cancel, terminate, purge.",
    "cancel": "Revoke a task that has not begun.",
    "checkpoint": "Sign where the chains stand, and keep that outside the database.",
    "dashboards": "Write Grafana's dashboards, alert rules and plugin.",
    "demo": "Run the whole pipeline on this machine with an example application.",
    "epoch": "Say that a ledger was restored, so that checkpoints go on.",
    "erase": "Delete the arguments, results and other user data of tasks for good.",
    "doctor": "Say what is wrong with the ledger's database, and what to do.",
    "keys": "Make and show the keys that seal message bodies.",
    "maintain": "Keep partitions, roles and sessions of the database in order.",
    "migrate": "Create or update the database schema.",
    "purge": "Remove the messages that wait in a queue.",
    "retain": "Drop whole days of the ledger that are older than so many days.",
    "rebuild": "Make what the dashboards read again from the ledger, or compare.",
    "retry": "Send a task again, as a task of its own.",
    "retry-chord": "Send all tasks of a chord again, and its body.",
    "ship": "Deliver a spool directory to an OTLP endpoint.",
    "sink": "Receive spans and payloads and write them to the ledger.",
    "spool": "Look into a spool directory: what waits, who writes, what it says.",
    "terminate": "Revoke a task and end the process that runs it.",
    "tokens": "Make, list and revoke the tokens that may write or act.",
    "verify": "Check that the ledger is what was written.",
    "witness": "Sign checkpoints a second time, after checking that they continue.",
}
"""One line for each subcommand, so that ``--help`` imports none of them."""

_FAILED = 1


class LazyGroup(click.Group):
    """A command group whose members are entry points, loaded when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands, sorted."""
        return sorted(_commands())

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Load one subcommand, or return None when there is none of that name.

        Raises click.ClickException saying what to install when a package it needs is missing.
        """
        found = _commands().get(name)
        if found is None:
            return None
        try:
            command = found.load()
        except ModuleNotFoundError as exc:
            raise click.ClickException(_what_is_missing(name, exc)) from exc
        if not isinstance(command, click.Command):
            raise click.ClickException(f"celerytrail {name}: {found.value} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)]
            )


def _commands() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _what_is_missing(name: str, exc: ModuleNotFoundError) -> str:
    missing = (exc.name or "").partition(".")[0]
    if missing == "celerytrail" or name not in EXTRAS:
        return f"celerytrail {name} cannot be loaded: {exc}"
    return (
        f'celerytrail {name} needs pip install "celerytrail[{EXTRAS[name]}]" ({missing} is missing)'
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="celerytrail")
def celerytrail() -> None:
    """Record every step of every Celery task in a ledger that shows tampering."""


def main() -> None:
    """Run the command; an error of a component becomes one line and exit code 1.

    Every component has its own base class of errors, whose message says what to do. Any other
    exception is a mistake of ours and keeps its traceback.
    """
    try:
        celerytrail()
    except Exception as exc:
        if not _is_component_error(exc):
            raise
        click.echo(f"Error: {exc}", err=True)
        sys.exit(_FAILED)


def _is_component_error(exc: Exception) -> bool:
    return any(kind.__module__.startswith("celerytrail.") for kind in type(exc).__mro__)


if __name__ == "__main__":
    main()
