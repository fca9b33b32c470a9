"""The scoring floor's tables."""

from .definitions import Definition, DefinitionVersion, Level, Purpose
from .handoffs import Handoff, HandoffActivity
from .qualifications import Qualification

__all__ = ["Definition", "DefinitionVersion", "Handoff", "HandoffActivity", "Level", "Purpose", "Qualification"]
