"""What Fieldnote's events mean, what its plans allow, who works there."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import EventType
from plgops.lib import access

Meaning = EventType.Meaning


@dataclass(frozen=True, slots=True)
class Type:
    name: str
    meaning: str
    description: str
    is_activity: bool = True
    metered: str = ""
    distinct: str = ""


TYPES = (
    Type("Signed Up", Meaning.SIGNUP, "A person made an account, or accepted an invitation.", is_activity=False),
    Type("Invite Sent", Meaning.INVITE, "A colleague was invited.", distinct="invitee_email"),
    Type("Project Created", Meaning.ACTIVITY, "A research project was begun."),
    Type("Note Created", Meaning.ACTIVITY, "A field note was written."),
    Type("Note Edited", Meaning.ACTIVITY, "A field note was changed."),
    Type("Comment Added", Meaning.ACTIVITY, "Somebody answered on a note."),
    Type("Template Used", Meaning.ACTIVITY, "A note or project was made from a template."),
    Type("Workflow Completed", Meaning.CORE, "Notes were coded, reviewed and published: what Fieldnote is for."),
    Type("Rows Synced", Meaning.ACTIVITY, "Survey rows were pulled in; the plan limits them.", metered="rows"),
    Type("Report Exported", Meaning.ACTIVITY, "A report left Fieldnote as PDF, CSV or slides."),
    Type("Automation Created", Meaning.PREMIUM, "A step of the workflow now runs by itself."),
    Type("Integration Connected", Meaning.PREMIUM, "Slack, Drive, Jira or Salesforce was connected."),
    Type("SSO Enabled", Meaning.PREMIUM, "People log in through their company's identity provider."),
    Type("Limit Reached", Meaning.PREMIUM, "The plan's monthly rows were used up.", is_activity=False),
    Type("Pricing Viewed", Meaning.BILLING, "Somebody looked at what the plans cost."),
    Type("Trial Started", Meaning.BILLING, "Fourteen days of Team, for nothing.", is_activity=False),
    Type("Trial Ended", Meaning.BILLING, "The trial ran out.", is_activity=False),
    Type("Plan Upgraded", Meaning.BILLING, "The account began to pay.", is_activity=False),
    Type("Seats Changed", Meaning.BILLING, "Seats were added or given back.", is_activity=False),
    Type("Plan Cancelled", Meaning.BILLING, "The account stopped paying.", is_activity=False),
)


@dataclass(frozen=True, slots=True)
class PlanOf:
    code: str
    name: str
    is_paid: bool
    rows: int  # a month; 0: no limit


PLANS = (
    PlanOf("free", "Free", False, 5_000),
    PlanOf("trial", "Trial", False, 5_000),
    PlanOf("team", "Team", True, 100_000),
    PlanOf("business", "Business", True, 0),
)


@dataclass(frozen=True, slots=True)
class Colleague:
    username: str
    first: str
    last: str
    role: str


STAFF = (
    Colleague("dana", "Dana", "Whitfield", access.SALES_REP),
    Colleague("theo", "Theo", "Marsh", access.SALES_REP),
    Colleague("mara", "Mara", "Lind", access.SALES_MANAGER),
    Colleague("ines", "Ines", "Duarte", access.SUPPORT_AGENT),
    Colleague("omar", "Omar", "Haddad", access.SUPPORT_OPS),
    Colleague("cleo", "Cleo", "Brandt", access.CS),
    Colleague("ada", "Ada", "Okoye", access.ADMIN),
    Colleague("vik", "Vik", "Sand", access.VIEWER),
)
PASSWORD = "plgops-demo"  # noqa: S105  printed on purpose
