"""Export batches, proofs of single orders, and receivers' keys."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from headend.billing import checker, exports, proofs, proving, receivers
from headend.billing.formats.registry import format_named, formats
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from headend.disclosure import Kind, Purpose, Recipient, clear
from shared import dsse
from shared.clock import from_ms

file_type = click.Path(path_type=Path, exists=True, dir_okay=False)
PASSES = (checker.Verdict.OK, checker.Verdict.DUPLICATE)


@click.group()
def export() -> None:
    """Closed, numbered, signed batches for the billing system."""


@export.command("close")
@folder_argument
@told
def export_close(folder: Path) -> None:
    """Close the next batch over everything posted since the last one."""
    with billing_of(folder) as billing:
        batch = billing.store.write(lambda tx: exports.close_batch(tx, billing.now_ms()))
    click.echo(f"closed batch {batch.batch}: entries {batch.first_entry} to {batch.last_entry}")


@export.command("list")
@folder_argument
@json_option
@told
def export_list(folder: Path, *, as_json: bool) -> None:
    """List the closed batches, and who has acknowledged each."""
    with billing_of(folder) as billing:
        look = billing.store.read()
        found = [(batch, look.acknowledgements(batch.batch)) for batch in look.batches()]
    if as_json:
        print_json([asdict(batch) | {"acknowledged": [asdict(one) for one in said]} for batch, said in found])
        return
    lines = [
        [
            str(batch.batch),
            f"{batch.first_entry} to {batch.last_entry}",
            from_ms(batch.closed_ms).isoformat(timespec="seconds"),
            ", ".join(one.name for one in said),
        ]
        for batch, said in found
    ]
    print_table(["batch", "entries", "closed", "acknowledged by"], lines)


@export.command("write")
@folder_argument
@click.argument("number", type=int)
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "names", multiple=True, help="Only this format; may be given again.")
@told
def export_write(folder: Path, number: int, target: Path, names: tuple[str, ...]) -> None:
    """Write a closed batch's files to TARGET; the same bytes whenever it is asked for."""
    forms = [format_named(name) for name in names] or list(formats().values())
    target.mkdir(parents=True, exist_ok=True)
    with billing_of(folder) as billing:
        now_ms, to = billing.now_ms(), Recipient.BILLING_SYSTEM
        exports.closed(billing.store.read(), number)
        billing.store.write(
            lambda tx: tx.add_audit(now_ms, "command line", "export written", str(number), to)
        )
        key = billing.setup.billing_key
        for path in exports.write_batch(billing.store.read(), number, key, target, forms):
            click.echo(str(path))


@export.command("key")
@folder_argument
@told
def export_key(folder: Path) -> None:
    """Print the public key that a receiver checks batches with."""
    with billing_of(folder) as billing:
        click.echo(dsse.public_to_text(billing.setup.billing_key.public_key()))


@export.command("verify")
@click.argument("files", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", required=True, help="The public key, as `headend export key` prints it.")
@click.option(
    "--taken",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Remember here what was taken, and go on from there the next time.",
)
@json_option
@told
def export_verify(files: Path, key: str, taken: Path | None, *, as_json: bool) -> None:
    """Check all batches in the folder FILES with the public key alone; exit 1 if one does not hold."""
    before = checker.Taken() if taken is None else checker.read_taken(taken)
    found, after = checker.check_folder(files, dsse.public_from_text(key), before)
    if taken is not None:
        checker.write_taken(taken, after)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        print_table(
            ["batch", "verdict", "entries", "words"],
            [[one.name, one.verdict.value, str(one.entries), one.words] for one in found],
        )
    if not found or any(one.verdict not in PASSES for one in found):
        raise SystemExit(1)


@click.group()
def proof() -> None:
    """Proofs that single orders stand in what was signed."""


@proof.command("make")
@folder_argument
@click.argument("ref")
@told
def proof_make(folder: Path, ref: str) -> None:
    """Print the proof of the order REF (box/epoch/seq), whose batch must be closed."""
    with billing_of(folder) as billing:
        made = proving.prove(billing.store.read(), ref, billing.setup.billing_key)
        shown = clear(made, Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING)
        now_ms = billing.now_ms()
        billing.store.write(lambda tx: tx.add_audit(now_ms, "command line", "order proven", ref, ""))
    click.echo(shown.payload)


@proof.command("verify")
@click.argument("file", type=file_type)
@click.option("--key", required=True, help="The public key, as `headend export key` prints it.")
@click.option("--envelope", type=file_type, help="The signed order as the box sent it.")
@click.option("--title", nargs=2, metavar="SALT OFFER", help="The order's salt and offer.")
@json_option
@told
def proof_verify(
    file: Path, key: str, envelope: Path | None, title: tuple[str, str] | None, *, as_json: bool
) -> None:
    """Check the proof in FILE with the public key alone; exit 1 if it does not hold."""
    signed = None if envelope is None else envelope.read_bytes()
    proven = proofs.check_proof(file.read_bytes(), dsse.public_from_text(key), signed, title)
    if as_json:
        print_json(proven)
        return
    print_table(["what", "proven"], [[name, str(value)] for name, value in asdict(proven).items()])


@click.group()
def key() -> None:
    """Keys by which receivers pull batches."""


@key.command("create")
@folder_argument
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(receivers.SCOPES), required=True)
@told
def key_create(folder: Path, name: str, scopes: tuple[str, ...]) -> None:
    """Make a key called NAME, for the billing system, and print it, this once."""
    with billing_of(folder) as billing:
        now_ms = billing.now_ms()
        made = billing.store.write(lambda tx: receivers.create_key(tx, name, scopes, now_ms, os.urandom))
    click.echo(made)


@key.command("list")
@folder_argument
@json_option
@told
def key_list(folder: Path, *, as_json: bool) -> None:
    """List the keys there are and were, never the keys themselves."""
    with billing_of(folder) as billing:
        keys = list(billing.store.read().export_keys())
    if as_json:
        print_json(
            [{name: value for name, value in asdict(one).items() if name != "key_hash"} for one in keys]
        )
        return
    lines = [
        [
            one.name,
            one.recipient,
            one.scopes,
            from_ms(one.created_ms).date().isoformat(),
            "" if one.revoked_ms is None else from_ms(one.revoked_ms).date().isoformat(),
        ]
        for one in keys
    ]
    print_table(["key", "recipient", "scopes", "created", "revoked"], lines)


@key.command("revoke")
@folder_argument
@click.argument("name")
@told
def key_revoke(folder: Path, name: str) -> None:
    """End the key called NAME, for ever."""
    with billing_of(folder) as billing:
        now_ms = billing.now_ms()
        billing.store.write(lambda tx: receivers.revoke_key(tx, name, now_ms))
    click.echo(f"revoked {name}")
