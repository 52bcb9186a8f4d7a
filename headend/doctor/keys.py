"""Keys against what the databases say was signed with them: a folder put together from two is found here."""

from headend.analytics.keys import MANIFEST_KEY, AnalyticsKeys
from headend.billing.issuing import TokenKeys
from headend.doctor.findings import Answer, broken, fine
from headend.doctor.patient import Patient, Row
from headend.installation import BILLING_KEY, CATALOGUE_KEY, DIRECTORY_KEY
from shared import dsse
from shared.directory import MAX_DIRECTORY, Directory, read_directory
from shared.dsse import DsseError, PayloadType
from shared.weeks import Week

RESTORE = "restore keys and databases of one backup: headend restore"
_LONGEST = 64 << 20
"""Bytes of a catalogue or manifest that are read."""


def directory_key(patient: Patient) -> Answer:
    """The directories that are kept were signed with the directory key that is here."""
    public = patient.installation.public(DIRECTORY_KEY)
    for side in ("billing", "analytics"):
        for week, envelope in _directories(patient, side):
            try:
                dsse.verify(envelope, PayloadType.DIRECTORY, public, 2 * MAX_DIRECTORY)
            except DsseError:
                return broken(f"{side}'s directory of {week} was signed with another directory key", RESTORE)
    return fine("the newest directories were signed with the directory key that is here")


def catalogue_key(patient: Patient) -> Answer:
    """The catalogue in force was signed with the catalogue key that is here."""
    rows = patient.rows("billing", "SELECT envelope FROM catalogues ORDER BY version DESC LIMIT 1")
    try:
        for (envelope,) in rows:
            public = patient.installation.public(CATALOGUE_KEY)
            dsse.verify(bytes(envelope), PayloadType.CATALOGUE, public, _LONGEST)
    except DsseError:
        return broken("the catalogue in force was signed with another catalogue key", RESTORE)
    return fine("the catalogue key is that of the catalogue in force" if rows else "no catalogue yet")


def billing_key(patient: Patient) -> Answer:
    """The box totals that were handed over were signed with billing's key that is here."""
    files = sorted((patient.installation.folder / "totals").glob("*.json"))[-1:]
    public = patient.installation.public(BILLING_KEY)
    for path in files:
        try:
            dsse.verify(path.read_bytes(), PayloadType.TOTALS, public)
        except DsseError:
            return broken(f"{path.name} of the totals was signed with another key than billing's", RESTORE)
    return fine("billing's key is that of the newest totals" if files else "no totals yet")


def manifest_key(patient: Patient) -> Answer:
    """The newest release was signed with the manifest key that is here."""
    rows = patient.rows("analytics", "SELECT week, manifest FROM releases ORDER BY week DESC LIMIT 1")
    if not rows:
        return fine("no release yet")
    if patient.shelf("analytics").get(MANIFEST_KEY) is None:
        return broken(f"there are releases, but no {MANIFEST_KEY} that signed them", RESTORE)
    key = AnalyticsKeys(patient.shelf("analytics")).manifest_key()
    try:
        dsse.verify(bytes(rows[0][1]), PayloadType.MANIFEST, key.public_key(), _LONGEST)
    except DsseError:
        return broken(f"the release of {rows[0][0]} was signed with another manifest key", RESTORE)
    return fine("the manifest key is that of the newest release")


def week_keys(patient: Patient) -> Answer:
    """The keys of weeks that are published and not yet done are here, and are those that were published."""
    sealing = AnalyticsKeys(patient.shelf("analytics"))
    for week, said in _open_weeks(patient):
        if sealing.gateway(week).config.encode() != said.key_config():
            return broken(f"the sealing key of {week} is not the one that was published", RESTORE)
    return fine("what boxes seal for open weeks can be opened")


def token_keys(patient: Patient) -> Answer:
    """Likewise the keys that sign a week's tokens, until the week is forgotten."""
    public = patient.installation.public(DIRECTORY_KEY)
    held = TokenKeys(patient.shelf("billing"))
    done = patient.rows("billing", "SELECT max(slot) FROM job_runs WHERE job = 'forget-tokens'")[0][0] or ""
    for text, envelope in _directories(patient, "billing"):
        week = Week.parse(text)
        if text <= done:
            continue
        payload = dsse.verify(envelope, PayloadType.DIRECTORY, public, 2 * MAX_DIRECTORY)
        said = read_directory(payload, week)
        measures = [one.name for one in said.measures]
        if sorted(held.public(measures, week)) != sorted(said.token_key(name) for name in measures):
            return broken(f"a token key of {week} is missing or not the one that was published", RESTORE)
    return fine("tokens of open weeks can be signed")


def _directories(patient: Patient, side: str) -> list[tuple[str, bytes]]:
    rows: list[Row] = patient.rows(side, "SELECT week, envelope FROM directories ORDER BY week DESC LIMIT 4")
    return [(week, bytes(envelope)) for week, envelope in rows]


def _open_weeks(patient: Patient) -> list[tuple[Week, Directory]]:
    rows = patient.rows(
        "analytics",
        "SELECT directories.week, payload FROM directories JOIN weeks ON weeks.week = directories.week "
        "WHERE weeks.state = 'open' ORDER BY directories.week",
    )
    return [(Week.parse(week), read_directory(bytes(payload), Week.parse(week))) for week, payload in rows]
