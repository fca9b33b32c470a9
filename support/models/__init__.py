"""The support floor's tables."""

from .kb import Article
from .tickets import Ticket, TicketMessage
from .tiers import AccountTier, Route, Tier

__all__ = ["AccountTier", "Article", "Route", "Ticket", "TicketMessage", "Tier"]
