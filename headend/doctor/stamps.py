"""Which installation the databases say they belong to."""

from headend.doctor.findings import Answer, broken, fine
from headend.doctor.patient import Patient

ASKED = {
    "billing": "SELECT value = 'simulated' FROM installation WHERE fact = 'installation'",
    "analytics": "SELECT simulated FROM installation",
    "console": "SELECT simulated FROM installation",
}


def stamps(patient: Patient) -> Answer:
    """All databases and the settings agree on which installation this is, and whether it is real."""
    wanted = patient.installation.settings
    for side in patient.sides:
        rows = patient.rows(side, ASKED[side])
        if rows and bool(rows[0][0]) != wanted.simulated:
            kind = "a simulated" if rows[0][0] else "a real"
            return broken(
                f"{side}'s database is that of {kind} installation, the settings say otherwise",
                "restore settings and databases of one backup: headend restore",
            )
    if patient.has("analytics") and (other := _other(patient)):
        return broken(
            f"analytics' database is that of another installation: {other}",
            "restore settings and databases of one backup: headend restore",
        )
    return fine("databases and settings are of one installation")


def _other(patient: Patient) -> str:
    """What analytics' stamp says otherwise than the settings; empty if nothing."""
    said = patient.installation.settings
    for profile, zone, week in patient.rows(
        "analytics", "SELECT profile, zone, first_week FROM installation"
    ):
        pairs = ((profile, said.profile), (zone, said.zone), (week, said.first_week))
        return ", ".join(f"{found}, not {wanted}" for found, wanted in pairs if found != wanted)
    return ""
