"""What a definition depends on: the pinned ones that it nests, and whether it depends on itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from scoring.models import DefinitionVersion
from scoring.rules import nesting, tree
from scoring.rules.parse import parse_definition
from scoring.rules.problems import Problem, RuleError


def finder(
    docs: Iterable[tree.DefinitionDoc], known: Mapping[tuple[str, int], tree.DefinitionDoc] | None = None
) -> nesting.Find:
    """Gives the pinned definitions that `docs` nest, resolved: a query for each depth of those that are not `known`.

    It raises RuleError for one that is not stored or that this program cannot read.
    """
    read, lost = dict(known or {}), set[tuple[str, int]]()
    wanted = _pins(docs)
    while wanted := wanted - read.keys() - lost:
        rows = DefinitionVersion.objects.filter(
            definition__slug__in={slug for slug, _ in wanted}, number__in={number for _, number in wanted}
        )
        found: dict[tuple[str, int], tree.DefinitionDoc] = {}
        for slug, number, document in rows.values_list("definition__slug", "number", "document"):
            with contextlib.suppress(RuleError):
                found[slug, number] = parse_definition(document)
        lost |= wanted - found.keys()
        read |= found
        wanted = _pins(found.values())
    resolved: dict[tuple[str, int], tree.DefinitionDoc] = {}

    def find(node: tree.Nested) -> tree.DefinitionDoc:
        pin = (node.slug, node.version or 0)
        if pin not in read:
            raise RuleError([Problem("", f"“{node.slug}” v{node.version} cannot be read")])
        if pin not in resolved:
            resolved[pin] = nesting.resolve(read[pin], find)
        return resolved[pin]

    return find


def pinned(doc: tree.DefinitionDoc, live: Mapping[str, int]) -> tuple[tree.DefinitionDoc, tree.DefinitionDoc]:
    """The definition pinned to the `live` version numbers of those that it nests, and the same with their rules in
    place. One that is not live any more stays as it was pinned; RuleError if it is not pinned to anything."""
    asked = list(nesting.nested(doc))
    others = {node.slug for _, node in asked} - live.keys()
    kept: set[tuple[str, int | None]] = set()
    if others:
        rows = DefinitionVersion.objects.filter(definition__slug__in=others)
        kept = set(rows.values_list("definition__slug", "number"))
    problems = []
    for leaf, node in asked:
        if node.slug == doc.slug:
            problems.append(Problem(leaf.path, "a definition cannot ask for itself"))
        elif node.slug not in live and (node.slug, node.version) not in kept:
            problems.append(Problem(leaf.path, f"expected a definition that is live; “{node.slug}” is not"))
    if problems:
        raise RuleError(problems)
    now = nesting.pin(doc, lambda node: live.get(node.slug, node.version))
    return now, nesting.resolve(now, finder([now]))


def refuse_cycle(doc: tree.DefinitionDoc, live: Mapping[str, tree.DefinitionDoc]) -> None:
    """RuleError if `doc`, live beside the others, depends on itself: through what it nests, or through a stage that it
    writes. All of them are resolved."""
    docs = {**live, doc.slug: doc}
    names = {slug: other.name for slug, other in docs.items()}
    asks = {slug: list(_asked(other)) for slug, other in docs.items()}
    for other in docs.values():
        for _, node in nesting.nested(other):  # one that is not live any more is asked for all the same
            names.setdefault(node.slug, node.name)
            asks.setdefault(
                node.slug, [leaf for leaf in tree.leaves(node.looked_up(), subject="account") if _own(leaf)]
            )
    writers: dict[str, set[str]] = {}
    for slug, other in docs.items():
        if stage := tree.stage_written(other):
            writers.setdefault(stage, set()).add(slug)
    needs = {slug: set().union(*(_needed(leaf, writers) for leaf in leaves)) for slug, leaves in asks.items()}
    problems = []
    for leaf in asks[doc.slug]:
        through = _way(_needed(leaf, writers), doc.slug, needs)
        if not through:
            continue
        named = ", ".join(f"“{names[slug]}”" for slug in reversed(through))
        what, which = ("definition", leaf.node.slug) if isinstance(leaf.node, tree.Nested) else ("stage", "")
        which = which or getattr(leaf.node, "stage", "")
        message = f"expected a {what} that does not follow from this definition; “{which}” does, through {named}"
        problems.append(Problem(leaf.path, message))
    if problems:
        raise RuleError(problems)


def _pins(docs: Iterable[tree.DefinitionDoc]) -> set[tuple[str, int]]:
    return {(node.slug, node.version or 0) for doc in docs for _, node in nesting.nested(doc)}


def _asked(doc: tree.DefinitionDoc) -> Iterable[tree.Leaf]:
    """What decides about a definition: its rule; of its motion, which writes nothing, only what that nests."""
    for leaf in tree.all_leaves(doc):
        if _own(leaf) and (leaf.path.startswith("/rule") or isinstance(leaf.node, tree.Nested)):
            yield leaf


def _own(leaf: tree.Leaf) -> bool:
    """Not one of a definition that is nested: what that asks for is found through it."""
    return "/definition/rule" not in leaf.path


def _needed(leaf: tree.Leaf, writers: Mapping[str, set[str]]) -> set[str]:
    """The definitions that a condition depends on."""
    match leaf.node:
        case tree.Nested(slug):
            return {slug}
        case tree.StageReached(stage) | tree.StageSince(stage):
            return writers.get(stage, set())
    return set()


def _way(starts: Iterable[str], target: str, needs: Mapping[str, set[str]]) -> tuple[str, ...]:
    """The shortest way from one of `starts` to `target` along what they need, without the target; empty: none."""
    ways: list[tuple[str, ...]] = [(slug,) for slug in sorted(starts) if slug != target]
    seen = {way[0] for way in ways}
    for way in ways:
        for slug in sorted(needs.get(way[-1], ())):
            if slug == target:
                return way
            if slug not in seen:
                seen.add(slug)
                ways.append((*way, slug))
    return ()
