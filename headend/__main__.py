"""`headend`: the operator's command line."""

import click

from headend.cli import (
    analytics,
    apart,
    audits,
    console,
    database,
    directory,
    doctor,
    export,
    installation,
    invoices,
    measures,
    moving,
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
    installation.node,
    installation.jobs,
    doctor.doctor,
    installation.box_settings,
    installation.backup,
    installation.restore,
    installation.hold_tokens,
    apart.apart,
    apart.exchange,
    moving.migrate,
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
