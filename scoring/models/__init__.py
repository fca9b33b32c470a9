"""The scoring floor's tables."""

from .alerts import AlertFact
from .definitions import Definition, DefinitionVersion, Level, Purpose
from .discoveries import Discovery
from .handoffs import Handoff, HandoffActivity
from .qualifications import Qualification

__all__ = [
    "AlertFact",
    "Definition",
    "DefinitionVersion",
    "Discovery",
    "Handoff",
    "HandoffActivity",
    "Level",
    "Purpose",
    "Qualification",
]
