"""`headend`: the operator's command line."""

import click

from headend.cli import (
    analytics,
    audits,
    console,
    database,
    directory,
    export,
    installation,
    invoices,
    measures,
    offers,
    orders,
    records,
    reports,
    rights,
    subscribers,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="stb-telemetry", prog_name="headend")
def main() -> None:
    """Bill what set-top boxes order, and publish which genres are popular, never who watched."""


for command in (
    installation.init,
    installation.serve,
    installation.gateway,
    installation.jobs,
    installation.box_settings,
    installation.backup,
    installation.restore,
    directory.directory,
    subscribers.account,
    subscribers.box,
    rights.retention_group,
    offers.catalogue,
    offers.seller,
    offers.law,
    orders.order,
    orders.dispute,
    orders.reconcile,
    invoices.invoice,
    export.export,
    export.proof,
    export.key,
    analytics.release,
    reports.popularity,
    reports.report,
    reports.disclosures,
    analytics.budget,
    measures.measures,
    records.records,
    console.operator,
    audits.audit,
    database.database,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
