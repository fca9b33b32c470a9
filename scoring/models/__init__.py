"""The scoring floor's tables."""

from .alerts import AlertFact, AlertRule, ClaimLinkUse
from .crm import CrmActivity, CrmConflict, CrmConnection, CrmLink, CrmOwner
from .definitions import Definition, DefinitionVersion, Level, Purpose
from .discoveries import Discovery
from .handoffs import Handoff, HandoffActivity
from .next_tasks import NextTask
from .outcome_reasons import OutcomeReason
from .plays import CsTask, Play, PlayArm, PlayRun
from .prompts import PromptRules, PromptView
from .qualifications import Qualification
from .routing import Assignment, Leave, PoolMember, RoutingLadder, RoutingPool, Seller
from .saved_views import SavedView
from .speed import SpeedClock, SpeedPolicy, SpeedStep

__all__ = [
    "AlertFact",
    "AlertRule",
    "ClaimLinkUse",
    "Assignment",
    "CrmActivity",
    "CrmConflict",
    "CrmConnection",
    "CrmLink",
    "CrmOwner",
    "CsTask",
    "Definition",
    "DefinitionVersion",
    "Discovery",
    "Handoff",
    "HandoffActivity",
    "Leave",
    "Level",
    "NextTask",
    "OutcomeReason",
    "Play",
    "PlayArm",
    "PlayRun",
    "PoolMember",
    "PromptRules",
    "PromptView",
    "Purpose",
    "Qualification",
    "RoutingLadder",
    "RoutingPool",
    "SavedView",
    "Seller",
    "SpeedClock",
    "SpeedPolicy",
    "SpeedStep",
]
