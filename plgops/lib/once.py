"""Computed once, kept for a while: the latest few answers of something slow, in this process.

For answers that follow from their key alone: nothing is ever taken back, an old key is simply not asked for again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Once(Generic[V]):
    """At most `size` answers, the one that was not asked for the longest goes first.

    Who asks for an answer that another thread is computing waits for it. An exception is not kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._guard = threading.Lock()
        self._found: OrderedDict[Hashable, V] = OrderedDict()
        self._at_work: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, compute: Callable[[], V]) -> V:
        """The answer kept under `key`, else what `compute` gives."""
        with self._guard:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
            turn = self._at_work.setdefault(key, threading.Lock())
        with turn:
            kept = self.peek(key)  # by who had the turn before
            if kept is not None:
                return kept
            try:
                found = compute()
            except BaseException:
                with self._guard:
                    self._at_work.pop(key, None)
                raise
            with self._guard:  # at once: nobody may find neither the answer nor the turn
                self._found[key] = found
                self._at_work.pop(key, None)
                while len(self._found) > self.size:
                    self._found.popitem(last=False)
        return found

    def peek(self, key: Hashable) -> V | None:
        """The answer kept under `key`; None if there is none."""
        with self._guard:
            return self._found.get(key)
