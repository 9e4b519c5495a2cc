"""The sample task `taxonomy`: a detector's finding becomes an entry of a canonical taxonomy, as JSON."""

from __future__ import annotations

from random import Random

from base_model.texts import as_json, finding_record
from base_model.world import draw_finding
from sample_tasks.rows import Sample

TAXONOMY: dict[str, tuple[str, str]] = {
    "EMAIL_ADDRESS": ("contact", "email"),
    "EMAIL": ("contact", "email"),
    "PHONE_NUMBER": ("contact", "phone"),
    "MOBILE": ("contact", "phone"),
    "STREET_ADDRESS": ("contact", "address"),
    "PERSON": ("identity", "name"),
    "FULL_NAME": ("identity", "name"),
    "DATE_OF_BIRTH": ("identity", "birth"),
    "PASSPORT": ("identity", "document"),
    "DRIVER_LICENSE": ("identity", "document"),
    "TAX_ID": ("identity", "tax"),
    "CREDIT_CARD": ("financial", "card"),
    "CARD_NUMBER": ("financial", "card"),
    "IBAN": ("financial", "bank"),
    "BANK_ACCOUNT": ("financial", "bank"),
    "IP_ADDRESS": ("network", "machine"),
    "URL": ("network", "link"),
    "API_KEY": ("secret", "key"),
}
"""Entity type -> (category, subcategory). Several detectors have their own name for the same thing."""


def draw_taxonomy_sample(chance: Random) -> Sample:
    """Return one finding and its taxonomy entry, whose confidence is the detector's score."""
    finding = draw_finding(chance)
    category, subcategory = TAXONOMY[finding.type]
    entry = {"category": category, "subcategory": subcategory, "confidence": float(finding.score)}
    row = {"input": f"Detector output: {as_json(finding_record(finding))}", "output": as_json(entry)}
    return Sample(rows=(row,), facts=frozenset({finding.value, f"{finding.value} {finding.score}"}))
