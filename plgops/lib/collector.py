"""When Python looks for reference cycles: rarely, and not among what lives as long as the process."""

from __future__ import annotations

import gc

# Python's 700 makes a batch of messages, tens of thousands of small dicts without a cycle among them, be searched over
# and over: a third of the time of loading the demo company went there.
_NEW, _YOUNG, _MIDDLE = 50_000, 20, 20


def settle() -> None:
    """Call once per process when everything is imported: what exists now is never searched again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW, _YOUNG, _MIDDLE)
