"""Operators of the console."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from headend.cli.common import folder_argument, json_option, opened, print_json, print_table, told
from headend.console.operators import Operators
from headend.console.passwords import make_password
from headend.console.store import Role


@contextmanager
def operators_of(folder: Path) -> Iterator[Operators]:
    """The operators of an installation."""
    with opened(folder, "console") as headend:
        assert headend.console is not None  # noqa: S101 (it was asked for)
        yield headend.console.operators


@click.group()
def operator() -> None:
    """Who may sign in to the console."""


@operator.command("add")
@folder_argument
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
@click.option("--keep-password", is_flag=True, help="The printed password need not be changed.")
@told
def operator_add(folder: Path, name: str, role: str, *, keep_password: bool) -> None:
    """Add an operator; prints the password, which is stored nowhere."""
    password = make_password(os.urandom)
    with operators_of(folder) as operators:
        operators.add_operator(name, role, password, must_change=not keep_password)
    click.echo(password)


@operator.command("list")
@folder_argument
@json_option
@told
def operator_list(folder: Path, *, as_json: bool) -> None:
    """List operators with their roles."""
    with operators_of(folder) as operators:
        found = operators.list_operators()
    rows = [[one.name, one.role.value, "disabled" if one.disabled else "may sign in"] for one in found]
    if as_json:
        print_json([dict(zip(("name", "role", "state"), row, strict=True)) for row in rows])
    else:
        print_table(["name", "role", "state"], rows)


@operator.command("disable")
@folder_argument
@click.argument("name")
@told
def operator_disable(folder: Path, name: str) -> None:
    """Stop an operator from signing in; sign-ins that stand end at once."""
    with operators_of(folder) as operators:
        operators.disable(name)
    click.echo(f"disabled {name}")


@operator.command("reset")
@folder_argument
@click.argument("name")
@told
def operator_reset(folder: Path, name: str) -> None:
    """Give an operator a new password, printed once, and take their second factor away."""
    with operators_of(folder) as operators:
        password = operators.reset_password(name)
    click.echo(password)
