"""Making an installation, serving it, looking after it."""

import os
import tomllib
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from headend import backup as backups
from headend.app import APART_VARIABLE, FOLDER_VARIABLE, SECURE_VARIABLE, SIDES_VARIABLE
from headend.cli.common import (
    billing_of,
    folder_argument,
    json_option,
    opened,
    print_json,
    print_table,
    told,
)
from headend.installation import (
    ALL_SIDES,
    CATALOGUE_KEY,
    DIRECTORY_KEY,
    Installation,
    InstallationError,
    Settings,
    address_of,
    databases_of,
)
from headend.kit.engine import check_driver
from headend.kit.listening import Where, check_free
from headend.kit.logs import FORMATS, log_config
from headend.kit.process import wait_for_lock
from headend.monitoring import ACCESS_VARIABLE
from shared.register import profile_names
from shared.system_clock import SteeredClock, SystemClock
from shared.weeks import Week

log_format_option = click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    envvar="HEADEND_LOG_FORMAT",
    help="How the log is written to standard error.",
)
socket_option = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="Listen on this Unix socket, and on no port; its group may use it.",
)
PORT = click.IntRange(1, 65535)
SOCKET_MODE = 0o660
BACKLOG = 4096
CONNECTIONS = 8192
"""Connections that are open at once, idle ones too: what is too much is to be refused, not left to wait."""


@click.command()
@folder_argument
@click.option("--issuer", default="stb-telemetry", show_default=True, help="Name that stands in every token.")
@click.option("--zone", default="Europe/Amsterdam", show_default=True, help="Zone of weeks and dayparts.")
@click.option("--profile", type=click.Choice(profile_names()), default="small", show_default=True)
@click.option("--country", type=click.Choice(["NL", "BE"]), default="NL", show_default=True)
@click.option(
    "--regions",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML with `regions = [...]` and a table [areas] from postal prefix to region.",
)
@click.option("--simulated", is_flag=True, help="Made for a simulator; said on every page, for ever.")
@click.option("--clock", type=click.Path(path_type=Path), help="The simulator's clock file.")
@click.option(
    "--database",
    help="Keep the sides in PostgreSQL: postgresql://stb_{side}@host/stb_{side}; see `database roles`.",
)
@told
def init(
    folder: Path,
    issuer: str,
    zone: str,
    profile: str,
    country: str,
    regions: Path | None,
    clock: Path | None,
    database: str | None,
    *,
    simulated: bool,
) -> None:
    """Make a new installation in FOLDER, with its keys and databases."""
    mapped = _read_regions(regions) if regions else Regions((), {})
    now = SteeredClock(clock).now() if clock else SystemClock().now()
    settings = Settings(
        issuer=issuer,
        zone=zone,
        profile=profile,
        country=country,
        first_week=str(first_whole_week(now, zone)),
        simulated=simulated,
        clock=str(clock.resolve()) if clock else "",
        regions=mapped.regions,
        areas=mapped.areas,
        databases=databases_of(database) if database else {},
    )
    _check_databases(settings)
    Installation.create(folder, settings)
    with opened(folder) as headend:
        headend.jobs.run_due()
    click.echo(f"made an installation of profile {profile}; its first week is {settings.first_week}")


def _check_databases(settings: Settings) -> None:
    """Refuse databases on PostgreSQL that cannot be used, before anything is written.

    Raises:
        DriverMissingError: PostgreSQL's driver is not installed.
        StorageError: one cannot be reached, or does not keep what the headend promises.
    """
    addresses = [address_of(side, settings) for side in ALL_SIDES]
    for address in filter(None, addresses):
        check_driver()
        from headend.kit.postgres import check, connect  # the driver is an extra

        with connect(address) as raw:
            check(raw)


class Regions(msgspec.Struct):
    """The file that maps postal areas to regions."""

    regions: tuple[str, ...]
    areas: dict[str, str]


def _read_regions(path: Path) -> Regions:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Regions)
    except (ValueError, msgspec.ValidationError) as error:
        raise InstallationError(f"{path}: {error}") from error


def first_whole_week(now: datetime, zone: str) -> Week:
    """The first week that lies whole after `now`."""
    try:
        return Week.of(now.astimezone(UTC), ZoneInfo(zone)).plus(1)
    except (KeyError, ValueError) as error:
        raise InstallationError(f"unknown time zone {zone!r}") from error


@click.command()
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8080, show_default=True)
@click.option("--sides", help="Which sides to serve here.  [default: all that the folder has]")
@click.option("--behind-tls", is_flag=True, help="A proxy in front speaks TLS; cookies are marked secure.")
@click.option("--gateway-apart", is_flag=True, help="Fragments are taken by `headend gateway`, not here.")
@socket_option
@log_format_option
@click.option(
    "--access-log",
    is_flag=True,
    envvar=ACCESS_VARIABLE,
    help="Log requests of the named line and the console; never those of the anonymous line.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that serve; more than one only where every side is PostgreSQL's.",
)
@told
def serve(
    folder: Path,
    host: str,
    port: int,
    sides: str | None,
    socket: Path | None,
    log_format: str,
    *,
    behind_tls: bool,
    gateway_apart: bool,
    access_log: bool,
    workers: int,
) -> None:
    """Serve an installation until it is stopped."""
    installation = Installation(folder)
    wanted = sides.split(",") if sides else list(installation.sides)
    unknown = set(wanted) - set(ALL_SIDES)
    if unknown:
        raise click.ClickException(f"no side {', '.join(sorted(unknown))}")
    installation.check_user()
    installation.check_sides(wanted)
    if workers > 1 and not installation.is_shared:
        raise click.ClickException("one process serves SQLite files; several need PostgreSQL for every side")
    _check_host(host, behind_tls=behind_tls)
    # Granian's listeners share a port, so whoever may not serve must not even listen.
    os.close(wait_for_lock(installation.lock))
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    os.environ[SIDES_VARIABLE] = ",".join(wanted)
    os.environ[SECURE_VARIABLE] = "1" if behind_tls else "0"
    os.environ[APART_VARIABLE] = "1" if gateway_apart else "0"
    os.environ[ACCESS_VARIABLE] = "1" if access_log else "0"
    _serve("headend.app:served", socket or (host, port), log_format, workers)


@click.command()
@folder_argument
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8081, show_default=True)
@click.option("--behind-tls", is_flag=True, help="A proxy in front speaks TLS and lets the relay alone in.")
@socket_option
@log_format_option
@told
def gateway(
    folder: Path, host: str, port: int, socket: Path | None, log_format: str, *, behind_tls: bool
) -> None:
    """Serve the anonymous line alone, in a process without Flask that takes about twice as many fragments.

    Serve the rest beside it with `headend serve --gateway-apart`.
    """
    _check_host(host, behind_tls=behind_tls)
    installation = Installation(folder)
    installation.check_user()
    os.close(wait_for_lock(installation.gateway_lock))
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    _serve("headend.app:served_gateway", socket or (host, port), log_format)


def _check_host(host: str, *, behind_tls: bool) -> None:
    if host not in {"127.0.0.1", "::1", "localhost"} and not behind_tls:
        raise click.ClickException("plain HTTP is for loopback only; put a TLS proxy in front")


def _listener(where: Where) -> dict[str, Any]:
    if isinstance(where, Path):
        return {"uds": where, "uds_permissions": SOCKET_MODE}
    return {"address": where[0], "port": where[1]}


def _serve(target: str, where: Where, log_format: str, workers: int = 1) -> None:
    from granian import Granian
    from granian.constants import Interfaces, RuntimeModes

    wait_for_lock(partial(check_free, where))
    Granian(
        target,
        **_listener(where),
        interface=Interfaces.RSGI,
        workers=workers,
        factory=True,
        log_access=False,
        log_dictconfig=log_config(log_format),
        websockets=False,
        workers_kill_timeout=10,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        runtime_mode=RuntimeModes.st,
    ).serve()


@click.command()
@folder_argument
@click.argument("target", type=click.Path(path_type=Path, exists=False))
@told
def node(folder: Path, target: Path) -> None:
    """Make TARGET, the folder of another node: settings, keys and archives of FOLDER.

    Move it to the other machine by a way that keeps keys secret. Only an installation whose databases are
    PostgreSQL's has several nodes.
    """
    Installation(folder).make_node(target)
    click.echo(f"made {target}; serve it beside {folder}")


@click.command()
@folder_argument
@json_option
@told
def jobs(folder: Path, *, as_json: bool) -> None:
    """Show each job with its next slot."""
    with opened(folder) as headend:
        rows = [(one.name, one.next.name, one.next.due.isoformat()) for one in headend.jobs.overview()]
    if as_json:
        print_json([{"job": job, "slot": slot, "due": due} for job, slot, due in rows])
    else:
        print_table(["job", "slot", "due"], [list(row) for row in rows])


@click.command("box-settings")
@folder_argument
@click.option("--headend-url", required=True, help="What boxes call on the named line.")
@click.option("--relay-url", required=True, help="What boxes call on the anonymous line.")
@told
def box_settings(folder: Path, headend_url: str, relay_url: str) -> None:
    """Print what every box of this installation pins, as the beginning of its settings file."""
    installation = Installation(folder)
    settings = installation.settings
    pins = {
        "headend_url": headend_url,
        "relay_url": relay_url,
        "issuer": settings.issuer,
        "zone": settings.zone,
        "directory_key": installation.public_text(DIRECTORY_KEY),
        "catalogue_key": installation.public_text(CATALOGUE_KEY),
    }
    for name, value in pins.items():
        click.echo(f'{name} = "{value}"')
    if settings.simulated:
        click.echo(f'simulated = true\nsteered_clock = "{settings.clock}"')


@click.command()
@folder_argument
@click.argument("target", type=click.Path(path_type=Path, exists=False))
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Back the keys up too, encrypted with the passphrase in this file.",
)
@told
def backup(folder: Path, target: Path, passphrase_file: Path | None) -> None:
    """Copy databases and settings to TARGET, a new folder, while the headend may go on."""
    passphrase = passphrase_file.read_bytes().strip() if passphrase_file else None
    for name in backups.back_up(Installation(folder), target, passphrase):
        click.echo(name)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, file_okay=False))
@folder_argument
@click.option(
    "--passphrase-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True
)
@click.option("--database", help="postgresql://host/name with {side}: empty databases, if it was on these.")
@click.option(
    "--stopped", is_flag=True, help="The headend had been stopped before the backup, and was since."
)
@told
def restore(
    source: Path, folder: Path, passphrase_file: Path, database: str | None, *, stopped: bool
) -> None:
    """Make FOLDER, which must not exist, from a backup with its encrypted keys.

    For the running week no new tokens are signed, since what was signed after the backup is not known;
    not so with --stopped, when nothing can have been.
    """

    def finish(made: Installation) -> None:
        if not stopped and "billing" in made.sides:
            _hold_tokens(made.folder)

    backups.restore(source, folder, passphrase_file.read_bytes().strip(), database, finish)
    click.echo(f"restored to {folder}")
    if os.geteuid() == 0:
        click.echo(f"it is root's: give it to the user that is to serve it, such as chown -R stb: {folder}")


@click.command("hold-tokens")
@folder_argument
@told
def hold_tokens(folder: Path) -> None:
    """Sign no new tokens for the week that runs, after databases were set back to an earlier moment."""
    _hold_tokens(folder)


def _hold_tokens(folder: Path) -> None:
    with billing_of(folder) as billing:
        week, anew = billing.hold_tokens()
    click.echo(f"no new tokens for {week}" + ("" if anew else ", as before"))
