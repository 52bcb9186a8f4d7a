"""How billing's pages word what stands about a subscriber: messages, by the value that they word."""

from headend.billing.erasure import Ground, What
from headend.billing.periods import Hold
from headend.billing.rows import RequestKind, RequestState
from headend.kit.language import N_

KINDS = {RequestKind.ACCESS: N_("Access"), RequestKind.ERASURE: N_("Erasure")}
STATES = {
    RequestState.OPEN: N_("open"),
    RequestState.ANSWERED: N_("answered"),
    RequestState.REFUSED: N_("refused"),
}
STAYS = {
    Hold.SUSPENDED: N_("Titles of orders that wait for a decision"),
    Hold.UNBILLED: N_("Titles of orders that are not billed yet"),
    Hold.DISPUTED: N_("Titles of orders in an open dispute"),
    Hold.WINDOW: N_("Titles that can still be watched"),
    Hold.BOUGHT: N_("Titles that were bought, until they are given up"),
    What.BILL: N_("Bills and credit notes, without titles"),
    What.BOOKS: N_("Orders and entries in the books, without titles"),
    What.ACCOUNT: N_("The account: country, postal area, language"),
    What.BOX: N_("Set-top boxes"),
    What.TOKENS: N_("Which box was drawn to report, until the week has closed"),
    What.ALARMS: N_("Alarms, without titles"),
    What.AUDIT: N_("The audit of changes"),
}
UNTIL = {
    Hold.SUSPENDED: N_("until it is decided, then the dispute period"),
    Hold.UNBILLED: N_("until it is billed, then the dispute period"),
    Hold.DISPUTED: N_("until the dispute is decided"),
    Hold.WINDOW: N_("until it can be watched no more"),
    Hold.BOUGHT: N_("until it is given up"),
    What.ACCOUNT: N_("while the account lasts, then the tax period"),
    What.BOX: N_("while the account lasts, then the tax period"),
    What.TOKENS: N_("until the week has closed"),
    What.ALARMS: N_("the tax period"),
    What.AUDIT: N_("the tax period"),
}
"""Until when something stays that has no date yet."""
GROUNDS = {
    Ground.CONTRACT: N_("contract"),
    Ground.LEGAL_OBLIGATION: N_("legal obligation"),
    Ground.LEGITIMATE_INTEREST: N_("legitimate interest"),
    Ground.CONSENT: N_("consent"),
}
