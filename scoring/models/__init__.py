"""The scoring floor's tables."""

from .alerts import AlertFact
from .definitions import Definition, DefinitionVersion, Level, Purpose
from .discoveries import Discovery
from .handoffs import Handoff, HandoffActivity
from .plays import CsTask, Play, PlayArm, PlayRun
from .prompts import PromptRules, PromptView
from .qualifications import Qualification

__all__ = [
    "AlertFact",
    "CsTask",
    "Definition",
    "DefinitionVersion",
    "Discovery",
    "Handoff",
    "HandoffActivity",
    "Level",
    "Play",
    "PlayArm",
    "PlayRun",
    "PromptRules",
    "PromptView",
    "Purpose",
    "Qualification",
]
