"""What is sold, by whom, and under which law."""

from dataclasses import asdict
from pathlib import Path

import click
import msgspec

from headend.billing import laws
from headend.billing.catalogue import publish_catalogue, read_offers, read_promotions
from headend.billing.documents.document import Seller
from headend.billing.sellers import set_seller
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from shared.clock import from_ms

existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)
country_option = click.option("--country", type=click.Choice(laws.COUNTRIES), required=True)


@click.group()
def catalogue() -> None:
    """Offers: films and games, their prices and terms."""


@catalogue.command("publish")
@folder_argument
@click.argument("file", type=existing_file)
@click.option("--promotions", "promotions_file", type=existing_file, help="Promotions, JSON or CSV too.")
@told
def catalogue_publish(folder: Path, file: Path, promotions_file: Path | None) -> None:
    """Check FILE (JSON or CSV), sign it, and put it in force as the next version."""
    offers = read_offers(file.read_bytes(), file.suffix.lstrip("."))
    promotions = []
    if promotions_file is not None:
        promotions = read_promotions(promotions_file.read_bytes(), promotions_file.suffix.lstrip("."))
    with billing_of(folder) as billing:
        key = billing.setup.catalogue_key
        version, _ = billing.store.write(
            lambda tx: publish_catalogue(tx, offers, key, billing.now_ms(), promotions)
        )
    said = f"{len(offers)} offers and {len(promotions)} promotions"
    click.echo(f"catalogue version {version} with {said} is in force")


@catalogue.command("show")
@folder_argument
@told
def catalogue_show(folder: Path) -> None:
    """Print the signed catalogue that is in force."""
    with billing_of(folder) as billing:
        found = billing.store.read().catalogue()
    if found is None:
        raise click.ClickException("no catalogue has been published")
    click.echo(found[1].decode())


@click.group()
def seller() -> None:
    """Who bills in each country; a bill cannot be made into a document without."""


@seller.command("set")
@folder_argument
@country_option
@click.option("--name", required=True)
@click.option("--vat-number", required=True, help="Such as NL001234567B01 or BE0123456789.")
@click.option("--street", required=True, help="With the number.")
@click.option("--postcode", required=True)
@click.option("--city", required=True)
@click.option("--who", default="command line", show_default=True)
@told
def seller_set(
    folder: Path, country: str, name: str, vat_number: str, street: str, postcode: str, city: str, who: str
) -> None:
    """Bill in this name from now on; bills that were issued keep theirs."""
    new = Seller(country, name, vat_number, street, postcode, city)
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: set_seller(tx, new, who, billing.now_ms()))
    click.echo(f"bills in {country} are {name}'s")


@seller.command("list")
@folder_argument
@json_option
@told
def seller_list(folder: Path, *, as_json: bool) -> None:
    """List who has billed where since when."""
    with billing_of(folder) as billing:
        rows = list(billing.store.read().sellers())
    if as_json:
        print_json([asdict(one) | {"from_ms": since} for since, one in rows])
        return
    print_table(
        ["country", "since", "name", "VAT number", "city"],
        [
            [one.country, from_ms(since).date().isoformat(), one.name, one.vat_number, one.city]
            for since, one in rows
        ],
    )


@click.group()
def law() -> None:
    """What billing takes from each country's law: VAT rates, and how long things are kept."""


@law.command("show")
@folder_argument
@told
def law_show(folder: Path) -> None:
    """Print each country's terms as they hold now."""
    with billing_of(folder) as billing:
        look, now_ms = billing.store.read(), billing.now_ms()
        found = {country: laws.law_of(look, country, now_ms) for country in laws.COUNTRIES}
    print_json(msgspec.to_builtins(found))


@law.command("set")
@folder_argument
@country_option
@click.argument("file", type=existing_file)
@click.option("--who", default="command line", show_default=True)
@told
def law_set(folder: Path, country: str, file: Path, who: str) -> None:
    """Take a country's terms from FILE (TOML, as one table of the packaged laws.toml) from now on."""
    terms = laws.read_law(file.read_bytes(), country)
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: laws.set_law(tx, country, terms, who, billing.now_ms()))
    click.echo(f"{country} is billed by {file.name} from now on")
