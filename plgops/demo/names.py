"""Names of companies and people that do not exist. Their domains end in .example: nobody can be written to."""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib.resources import files


def _words(name: str) -> list[str]:
    return (files(__package__) / "words" / f"{name}.txt").read_text().split()


FIRST = _words("first")
LAST = _words("last")
TITLES = {
    "lead": """Head of Research|Research Operations Lead|Director of Product|VP Customer Insight|UX Research Lead
|Founder|Chief of Staff|Head of Operations|Insights Manager|Programme Manager""",
    "member": """UX Researcher|Product Designer|Product Manager|Data Analyst|Field Researcher|Customer Success Manager
|Marketing Analyst|Consultant|Software Engineer|Operations Analyst|Research Assistant|Service Designer""",
}
HEADS = _words("heads")
TAILS = _words("tails")
KINDS = {
    "Software": ("Labs", "Systems", "Software", "Cloud", "Analytics"),
    "Health": ("Health", "Clinics", "Care", "Biosciences", "Diagnostics"),
    "Finance": ("Capital", "Payments", "Insurance", "Bank", "Advisory"),
    "Retail": ("Goods", "Market", "Outfitters", "Foods", "Home"),
    "Education": ("Learning", "College", "Academy", "Institute", "Press"),
    "Consulting": ("Partners", "Group", "Research", "Advisors", "Studio"),
    "Energy": ("Energy", "Power", "Grid", "Renewables", "Solar"),
    "Logistics": ("Freight", "Logistics", "Shipping", "Transit", "Supply"),
    "Public sector": ("City Services", "Council", "Agency", "Foundation", "Trust"),
}
COUNTRIES = (
    ("United States", 34, -6),
    ("United Kingdom", 12, 0),
    ("Germany", 11, 1),
    ("France", 7, 1),
    ("Netherlands", 6, 1),
    ("Canada", 6, -5),
    ("India", 6, 5),
    ("Australia", 4, 10),
    ("Sweden", 4, 1),
    ("Brazil", 4, -3),
    ("Spain", 3, 1),
    ("Japan", 3, 9),
)  # name, weight, hours from UTC


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    domain: str
    industry: str
    country: str
    utc_hours: int


class Names:
    """Draws companies and people; no company twice."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()
        self._titles = {role: [t.strip() for t in text.split("|")] for role, text in TITLES.items()}

    def company(self) -> Company:
        rng = self._rng
        industry = rng.choice(list(KINDS))
        while True:
            stem = rng.choice(HEADS) + rng.choice(TAILS)
            kind = rng.choice(KINDS[industry])
            if stem not in self._taken:
                self._taken.add(stem)
                break
        country, _, hours = rng.choices(COUNTRIES, [weight for _, weight, _ in COUNTRIES])[0]
        name = stem if rng.random() < 0.25 else f"{stem} {kind}"
        return Company(name, f"{stem.lower()}.example", industry, country, hours)

    def person(self, domain: str, taken: set[str]) -> tuple[str, str]:
        """A name and an address at the domain that is not in `taken`; it is added."""
        while True:
            first, last = self._rng.choice(FIRST), self._rng.choice(LAST)
            email = f"{first}.{last}@{domain}".lower()
            if email in taken:
                email = f"{first}.{last}{self._rng.randrange(2, 99)}@{domain}".lower()
            if email not in taken:
                taken.add(email)
                return f"{first} {last}", email

    def title(self, role: str) -> str:
        return self._rng.choice(self._titles[role])
