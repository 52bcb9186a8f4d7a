"""What commands share: opening an installation, printing for people or for scripts, errors in one line."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from headend.app import Headend, open_headend
from headend.billing.side import BillingSide
from headend.installation import Installation
from shared.errors import StbError

P = ParamSpec("P")
T = TypeVar("T")

folder_argument = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def told(command: Callable[P, T]) -> Callable[P, T]:
    """Turn the project's own errors, and what the machine refuses, into one line and exit code 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except StbError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise  # whoever reads has had enough: click ends quietly
        except UnicodeEncodeError as error:
            raise click.ClickException("what was said holds bytes that are no text") from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from error

    return run


@contextmanager
def opened(folder: Path, *sides: str) -> Iterator[Headend]:
    """An installation with these sides (all that are there, if none is named), closed again afterwards."""
    installation = Installation(folder)
    headend = open_headend(installation, sides or installation.sides)
    try:
        yield headend
    finally:
        headend.close()


@contextmanager
def billing_of(folder: Path) -> Iterator[BillingSide]:
    """Billing alone."""
    with opened(folder, "billing") as headend:
        assert headend.billing is not None  # noqa: S101 (it was asked for)
        yield headend.billing


def plain(value: Any) -> Any:  # noqa: ANN401 (whatever is to be printed)
    """A value as JSON can carry it."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return msgspec.to_builtins(value)


def print_json(value: Any) -> None:  # noqa: ANN401 (whatever is to be printed)
    """Print a value as indented JSON."""
    click.echo(json.dumps(plain(value), indent=2, default=str))


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """Print rows under their columns, aligned; figures to the right."""
    if not rows:
        click.echo("nothing")
        return
    widths = [max(len(line[place]) for line in [columns, *rows]) for place in range(len(columns))]
    for line in [columns, *rows]:
        cells = [_aligned(cell, width) for cell, width in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def _aligned(cell: str, width: int) -> str:
    figure = cell[:1].isdigit() or cell.startswith(("EUR", "-"))
    return cell.rjust(width) if figure else cell.ljust(width)
