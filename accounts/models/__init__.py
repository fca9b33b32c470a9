"""The ground floor's tables."""

from .deals import Deal
from .deliveries import Delivery, Destination, OutgoingMessage
from .due import AccountDue
from .events import Event, EventType, Receipt, Recount, UsageDay, UsageValue
from .imports import ImportJob
from .letters import Letter
from .lifecycle import Hold, Stage, StageEntry
from .people import (
    Account,
    AccountKey,
    AccountMerge,
    Membership,
    MembershipFact,
    ProductUser,
    TraitFact,
    TraitValue,
    UserKey,
)
from .revenue import Motion, Plan, PlanLimit, RevenueMovement, Subscription, SubscriptionState
from .sources import QuarantinedMessage, Source
from .team import AuditEntry, BusinessCalendar, LoginAttempts, StaffUser, Workspace
from .tokens import ApiToken, IdempotencyKey

__all__ = [
    "Account",
    "AccountDue",
    "AccountKey",
    "AccountMerge",
    "ApiToken",
    "AuditEntry",
    "BusinessCalendar",
    "Deal",
    "Delivery",
    "Destination",
    "Event",
    "EventType",
    "Hold",
    "IdempotencyKey",
    "ImportJob",
    "Letter",
    "LoginAttempts",
    "Membership",
    "MembershipFact",
    "Motion",
    "OutgoingMessage",
    "Plan",
    "PlanLimit",
    "ProductUser",
    "QuarantinedMessage",
    "Receipt",
    "Recount",
    "RevenueMovement",
    "Source",
    "Stage",
    "StageEntry",
    "StaffUser",
    "Subscription",
    "SubscriptionState",
    "TraitFact",
    "TraitValue",
    "UsageDay",
    "UsageValue",
    "UserKey",
    "Workspace",
]
