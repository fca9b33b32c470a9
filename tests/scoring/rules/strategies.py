"""Random rules in the stored form, and random histories, small enough that edges meet often."""

from __future__ import annotations

from hypothesis import strategies as st

from plgops.lib.days import FOREVER
from tests.scoring.rules.reference import Facts

FIRST_DAY, LAST_DAY = 24, 38  # two weeks with the first of February 1970 in the middle
days = st.integers(FIRST_DAY, LAST_DAY)
EVENTS = ["A", "B", "C", "D"]
TRAITS = ["plan", "seats"]
STAGES = ["signed_up", "activated", "paid"]
VALUES = ["free", "team", "5", "true", True, False, 5, 0.5, 12, None, ""]
lengths = st.sampled_from([1, 2, 3, 5, 8])
LONGEST = 8
small = st.integers(0, 5)


def either(*parts):
    return st.one_of(*parts)


events = either(
    st.sampled_from([*EVENTS, "Unknown"]),
    st.just("*"),
    st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True),
)


@st.composite
def comparisons(draw):
    op = draw(st.sampled_from(["at_least", "at_least", "at_most", "exactly", "between", "in"]))
    if op == "at_least":
        return {op: draw(st.integers(1, 5))}
    if op == "between":
        return {op: sorted([draw(small), draw(small)])}
    if op == "in":
        return {op: draw(st.lists(small, min_size=1, max_size=3))}
    return {op: draw(small)}


@st.composite
def windows(draw, subject, *, sliding=True, ever=True):
    kinds = (
        (["ever"] if ever else [])
        + ["month", "last_days", "last_days", "first_days", "dates"]
        + (["any_days"] if sliding else [])
    )
    kind = draw(st.sampled_from(kinds))
    if kind == "ever":
        return draw(st.sampled_from([{}, {"window": "ever"}]))
    if kind == "month":
        return {"window": "billing_month"}
    if kind == "dates":
        bounds = sorted([draw(days), draw(days)])
        shape = draw(st.sampled_from([("from", "to"), ("from",), ("to",)]))
        return {"window": {key: bounds[0] if key == "from" else bounds[1] for key in shape}}
    if kind == "first_days":
        of = draw(st.sampled_from(["user", "account"])) if subject == "user" else "account"
        return {"window": {"first_days": draw(lengths), "of": of}}
    return {"window": {kind: draw(lengths)}}


@st.composite
def alike(draw):
    """A definition of several counts whose windows are of one kind, or of two."""
    level = draw(st.sampled_from(["account", "user"]))
    dates = st.tuples(days, days).map(lambda pair: {"from": min(pair), "to": max(pair)})
    kinds = [
        dates,
        st.builds(
            lambda length, of: {"first_days": length, "of": of}, lengths, st.sampled_from(sorted({level, "account"}))
        ),
        st.builds(lambda length: {"last_days": length}, lengths),
        st.sampled_from(["ever", "billing_month"]),
    ]
    window = st.one_of(*draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2)))
    kind = st.sampled_from(["count", "days"])
    counts = st.builds(
        lambda kind, event, least, window: {kind: {"event": event, "at_least": least, "window": window}},
        *(kind, events, st.integers(1, 3), window),
    )
    parts = draw(st.lists(counts, min_size=2, max_size=4))
    rule = draw(st.sampled_from([{"any": parts}, {"all": parts}, {"at_least": 2, "of": parts}]))
    return {"slug": "d", "name": "D", "purpose": "risk", "level": level, "rule": rule}


@st.composite
def conditions(draw, subject):
    kinds = [
        "count",
        "count",
        "distinct",
        "days",
        "recency",
        "first",
        "value",
        "value",
        "change",
        "sequence",
        "trait",
        "trait",
        "stage",
    ]
    kinds += ["users"] if subject == "account" else []
    kind = draw(st.sampled_from(kinds))
    if kind == "recency":
        return {kind: {"event": draw(events), draw(st.sampled_from(["within_days", "not_for_days"])): draw(lengths)}}
    if kind == "value":
        return {kind: draw(metered(subject))}
    if kind == "change":
        return {kind: {"event": draw(events), "days": draw(st.sampled_from([1, 2, 4]))} | draw(factors)}
    if kind == "sequence":
        return {kind: draw(sequences(subject))}
    if kind == "first":
        return {kind: {"event": draw(events)} | draw(windows(subject, sliding=False, ever=False))}
    if kind == "stage":
        stage = draw(st.sampled_from(STAGES))
        if draw(st.booleans()):
            return {kind: {"reached": stage} | draw(windows("account", sliding=False))}
        bounds = sorted([draw(st.integers(0, LONGEST)), draw(st.integers(0, LONGEST))])
        shape = draw(st.sampled_from([("at_least_days", "at_most_days"), ("at_least_days",), ("at_most_days",)]))
        return {kind: {"since": stage} | {key: bounds[key == "at_most_days"] for key in shape}}
    if kind == "trait":
        return {kind: draw(traits(subject))}
    body = {"event": draw(events)} | draw(comparisons()) | draw(windows(subject))
    return {kind: body | ({"of": "email"} if kind == "distinct" else {})}


@st.composite
def sequences(draw, subject, most=3):
    steps = draw(
        st.lists(either(st.sampled_from([*EVENTS, "*"]), st.just(["A", "D"])), min_size=2, max_size=most).filter(
            lambda steps: all(apart(*pair) for pair in zip(steps, steps[1:], strict=False))
        )
    )
    return {"steps": steps, "within_days": draw(lengths)} | draw(windows(subject, sliding=False))


def apart(before, after) -> bool:
    return "*" not in (before, after) and not set(before) & set(after)


factors = st.tuples(
    st.sampled_from(
        [{"factor_at_least": 1.5}, {"factor_at_least": 0.334}, {"factor_at_most": 0.5}, {"factor_at_most": 0}]
    ),
    st.sampled_from([{}, {"at_least": 2}]),
    st.sampled_from([{}, {"base_at_least": 3}]),
).map(lambda parts: parts[0] | parts[1] | parts[2])
amounts = st.sampled_from([-2, 0, 0.5, 1, 2.5, 4, 7])


@st.composite
def metered(draw, subject):
    body = {"event": draw(events), "measure": draw(st.sampled_from(["sum", "sum", "max", "last"]))}
    body |= draw(windows(subject, sliding=body["measure"] == "sum"))
    op = draw(st.sampled_from(["at_least", "at_least", "at_most", "exactly", "between", "share_of_limit"]))
    if op == "share_of_limit":
        return body | {op: draw(st.sampled_from([0.5, 0.8, 1.125])), "limit": draw(st.sampled_from(["rows", "A"]))}
    return body | {op: sorted([draw(amounts), draw(amounts)]) if op == "between" else draw(amounts)}


@st.composite
def traits(draw, subject):
    body = {"name": draw(st.sampled_from(TRAITS))}
    if subject == "user" and draw(st.booleans()):
        body["of"] = draw(st.sampled_from(["account", "user"]))
    op = draw(st.sampled_from(["in", "exactly", "at_least", "at_most", "between", "is_set", "changed_within_days"]))
    askable = st.sampled_from([value for value in VALUES if value not in (None, "")])
    numbers = st.sampled_from([0, 0.5, 5, 5.5, 12])
    if op == "in":
        return body | {op: draw(st.lists(askable, min_size=1, max_size=3))}
    if op == "exactly":
        return body | {op: draw(askable)}
    if op == "changed_within_days":
        return body | {op: draw(lengths)}
    if op == "is_set":
        return body | {op: draw(st.booleans())}
    if op == "between":
        return body | {op: sorted([draw(numbers), draw(numbers)])}
    return body | {op: draw(numbers)}


@st.composite
def scores(draw, subject, half_lives=(1, 2, 3)):
    signals = []
    for _ in range(draw(st.integers(1, 3))):
        signal = {
            "part": draw(st.sampled_from(["fit", "usage", "intent"])),
            "points": draw(st.sampled_from([1, 2, 5, -3])),
        }
        shape = draw(st.sampled_from(["when", "per", "decay", "decay"]))
        if shape == "when":
            part = draw(conditions(subject))
            signals.append(signal | {"when": draw(st.sampled_from([part, {"not": part}]))})
            continue
        kind = draw(st.sampled_from(["count", "days", "distinct"] + (["users"] if subject == "account" else [])))
        inner = {"event": draw(events)} | ({"of": "email"} if kind == "distinct" else {})
        if shape == "per":
            inner |= draw(windows(subject))
        else:
            signal["half_life_days"] = draw(st.sampled_from(half_lives))
        cap = draw(st.sampled_from([{}, {"cap": 4}]))
        signals.append(signal | {"per": {kind: inner}} | cap)
    return {"score": {"signals": signals} | draw(comparisons())}


def rules(subject, leaf=None):
    leaf = leaf if leaf is not None else leafs(subject)

    def grown(inner):
        several = st.lists(inner, min_size=1, max_size=4)
        return either(
            several.map(lambda parts: {"all": parts}),
            several.map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
            several.flatmap(lambda parts: st.integers(1, len(parts)).map(lambda k: {"at_least": k, "of": parts})),
        )

    return st.recursive(leaf, grown, max_leaves=5).filter(lambda rule: depth(rule) <= 4)


def single(subject):
    """One condition that time alone changes: what next_day is about, with nothing else to blame."""
    low = st.integers(1, 3)  # thresholds that these histories cross
    compare = either(
        low.map(lambda k: {"at_least": k}), low.map(lambda k: {"at_most": k - 1}), low.map(lambda k: {"exactly": k})
    )
    seen = st.sampled_from(["*", "A", ["A", "B", "C", "D"]])
    kinds = st.sampled_from(["count", "days"] + (["users"] if subject == "account" else []))
    counted = st.builds(
        lambda kind, compare, length, event: {kind: {"event": event, "window": {"last_days": length}} | compare},
        kinds,
        compare,
        st.sampled_from([3, 5, 8]),
        seen,
    )
    recent = st.builds(
        lambda key, length, event: {"recency": {"event": event, key: length}},
        st.sampled_from(["within_days", "not_for_days"]),
        lengths,
        seen,
    )
    first = st.builds(lambda length, event: {"first": {"event": event, "window": {"last_days": length}}}, lengths, seen)
    changed = st.builds(
        lambda length, event, factor: {"change": {"event": event, "days": length} | factor},
        st.sampled_from([2, 4]),
        seen,
        factors,
    )
    added = st.builds(
        lambda measure, bound, window, event: {"value": {"event": event, "measure": measure, "window": window} | bound},
        st.sampled_from(["sum", "max", "last"]),
        either(
            st.sampled_from([1, 2.5, 4]).map(lambda bound: {"at_least": bound}),
            st.sampled_from([0, 2.5]).map(lambda bound: {"at_most": bound}),
            st.just({"share_of_limit": 0.8, "limit": "rows"}),
        ),
        either(st.sampled_from([3, 5]).map(lambda length: {"last_days": length}), st.just("billing_month")),
        seen,
    )
    ordered = st.builds(
        lambda steps, within, length: {
            "sequence": {"steps": steps, "within_days": within, "window": {"last_days": length}}
        },
        st.sampled_from([["A", "B"], ["A", "B", "A"], [["A", "D"], "C"]]),
        st.sampled_from([1, 3, 8]),
        st.sampled_from([3, 5, 8]),
    )
    scored = st.builds(
        lambda points, length, kind, event, bound: {
            "score": {
                "signals": [
                    {"part": "usage", "points": points, "half_life_days": length, "per": {kind: {"event": event}}}
                ]
            }
            | bound
        },
        st.sampled_from([2, -3]),
        st.sampled_from([1, 2]),
        kinds,
        seen,
        st.sampled_from([{"at_least": 1}, {"at_most": 2}, {"exactly": 0}]),
    )
    since = st.builds(
        lambda key, length, stage: {"stage": {"since": stage, key: length}},
        st.sampled_from(["at_least_days", "at_most_days"]),
        lengths,
        st.sampled_from(STAGES),
    )
    reached = st.builds(
        lambda length, stage: {"stage": {"reached": stage, "window": {"last_days": length}}},
        lengths,
        st.sampled_from(STAGES),
    )
    found = either(counted, counted, counted, recent, first, changed, added, scored, ordered, since, reached)
    if subject == "user":
        return found
    who = st.builds(lambda compare, rule: {"users_who": compare | {"rule": rule}}, compare, single("user"))
    return either(found, found, who)


@st.composite
def rising(draw, subject):
    """A rule about people that stays true once it is: conditions in anchored windows, by any and all."""
    if subject == "account":
        bound = {"at_least": draw(st.integers(1, 2))}
        return {"users_who": bound | {"rule": draw(rising("user"))}}
    anchored = either(
        st.builds(lambda length, of: {"first_days": length, "of": of}, lengths, st.sampled_from(["user", "account"])),
        st.builds(lambda day: {"from": day}, days),
        st.just("ever"),
        st.builds(lambda length: {"any_days": length}, lengths),
    )
    seen = st.sampled_from(["*", "A", ["A", "B", "C", "D"]])
    counted = st.builds(
        lambda kind, low, window, event: {kind: {"event": event, "at_least": low, "window": window}},
        st.sampled_from(["count", "days"]),
        st.integers(1, 3),
        anchored,
        seen,
    )
    first = st.builds(lambda event, of: {"first": {"event": event, "window": of}}, seen, anchored.filter(_not_any))
    steps = st.builds(
        lambda within: {"sequence": {"steps": ["A", "B"], "within_days": within}}, st.sampled_from([1, 8])
    )
    leaf = either(counted, counted, first, steps)
    of = draw(
        st.lists(
            either(leaf, st.builds(lambda parts: {"any": parts}, st.lists(leaf, min_size=2, max_size=2))),
            min_size=1,
            max_size=3,
        )
    )
    return of[0] if len(of) == 1 else {draw(st.sampled_from(["all", "any"])): of}


def _not_any(window):
    return window != "ever" and "any_days" not in window


def dated(subject):
    """One condition that reads no usage: only what is dated in the future can change it."""
    anybody = st.just({"trait": {"name": "nobody has this", "is_set": False}})  # whoever is asked
    trait = st.builds(
        lambda name, is_set: {"trait": {"name": name, "is_set": is_set}}, st.sampled_from(TRAITS), st.booleans()
    )
    stage = st.sampled_from(["activated", "paid"]).map(lambda stage: {"stage": {"reached": stage}})
    changed = st.builds(
        lambda name, length: {"trait": {"name": name, "changed_within_days": length}}, st.sampled_from(TRAITS), lengths
    )
    return either(anybody, trait, changed, stage)


def leafs(subject):
    if subject == "user":
        return either(conditions("user"), conditions("user"), conditions("user"), scores("user"))
    who = st.builds(
        lambda compare, rule: {"users_who": compare | {"rule": rule}}, comparisons(), rules("user", conditions("user"))
    )
    return either(conditions("account"), conditions("account"), conditions("account"), who, scores("account"))


def depth(rule) -> int:
    ((kind, body),) = ((key, value) for key, value in rule.items() if not ("of" in rule and key == "at_least"))
    if kind == "not":
        return 1 + depth(body)
    if kind in ("all", "any", "of"):
        return 1 + max(depth(part) for part in body)
    return 1 + depth(body["rule"]) if kind == "users_who" else 1


@st.composite
def documents(draw, rule=None, level=None):
    level = level or draw(st.sampled_from(["account", "user"]))
    document = {"slug": "a", "name": "A", "purpose": "risk", "level": level}
    document["rule"] = draw(rule(level) if rule else rules(level))
    if level == "user" and draw(st.booleans()):
        document["account_when"] = {"users_at_least": draw(st.integers(1, 3))}
    return document


@st.composite
def nests(draw):
    """Three definitions: of people, of accounts, and one that asks for them, also inside other conditions."""
    person = draw(documents(lambda level: rules("user"), level="user")) | {"slug": "person"}
    team = draw(documents(level="account")) | {"slug": "team"}
    of_people = st.just({"definition": "person"})
    if draw(st.booleans()):
        team["rule"] = {"any": [team["rule"], {"not": draw(of_people)}]}
    level = draw(st.sampled_from(["account", "account", "user"]))
    who = comparisons().flatmap(
        lambda compare: rules("user", either(of_people, conditions("user"))).map(
            lambda rule: {"users_who": compare | {"rule": rule}}
        )
    )
    scored = st.sampled_from([2, -1]).map(
        lambda points: {
            "score": {"signals": [{"part": "fit", "points": points, "when": {"definition": "person"}}], "at_least": 1}
        }
    )
    asks = either(st.just({"definition": "team"}), of_people, who, scored) if level == "account" else of_people
    document = draw(documents(lambda level: rules(level, either(asks, conditions(level))), level=level))
    return [document, team, person]


@st.composite
def wide_rules(draw, subject):
    """64 conditions."""
    parts = draw(st.lists(conditions(subject), min_size=64, max_size=64))
    return draw(st.sampled_from([{"all": parts}, {"any": parts}, {"at_least": 20, "of": parts}]))


@st.composite
def busy_days(draw):
    """One account whose days are so full that first and last times do not say what lay in between."""
    facts = Facts(accounts={1: (FIRST_DAY, False, False)}, users={1: (FIRST_DAY, False)})
    facts.members.append((1, 1, FIRST_DAY, FOREVER))
    for number, name in enumerate("ABC", start=1):
        facts.types[name] = (number, True, False, "")
        for day in draw(st.sets(st.sampled_from([36, 37, 38]), min_size=1, max_size=2)):
            times = sorted(draw(st.lists(st.integers(0, 20), min_size=1, max_size=5)))
            facts.times[1, 1, number, day] = [day * 1000 + time for time in times]
            facts.usage.append((1, 1, number, day, len(times)))
    return facts


@st.composite
def in_order(draw, subject):
    orders = st.permutations(["A", "B", "C"]).flatmap(lambda names: st.sampled_from([names, [*names, names[0]]]))
    return {"sequence": {"steps": draw(orders), "within_days": draw(st.sampled_from([1, 1, 2, 3]))}}


@st.composite
def histories(draw):
    """Up to three accounts and four people; days on both sides of the day that is asked about."""
    facts = Facts()
    signups = st.sampled_from([FIRST_DAY, FIRST_DAY, 25, 27, 29, LAST_DAY])
    for number in range(1, draw(st.integers(1, 3)) + 1):
        internal, merged = draw(st.sampled_from([(False, False)] * 6 + [(True, False), (False, True)]))
        facts.accounts[number] = (draw(signups), internal, merged)
    for number in range(1, draw(st.integers(0, 4)) + 1):
        facts.users[number] = (draw(signups), draw(st.sampled_from([False] * 6 + [True])))
    accounts, users = st.sampled_from(sorted(facts.accounts)), st.sampled_from([0, *facts.users])
    for name, activity, derived, collects in (
        ("A", True, False, "email"),
        ("B", True, False, ""),
        ("C", False, False, "email"),
        ("D", False, True, "city"),
    ):
        facts.types[name] = (len(facts.types) + 1, activity, derived, collects)
    if facts.users:
        for _ in range(draw(st.integers(0, 6))):
            start = draw(days)
            end = draw(st.sampled_from([FOREVER, FOREVER, start, start + 1, start + 3, start + 5]))
            facts.members.append((draw(accounts), draw(st.sampled_from(sorted(facts.users))), start, end))
    types = st.integers(1, 4)
    where = st.one_of(accounts, accounts, st.just(0))
    keys = st.tuples(where, users, types, days)
    for key in draw(st.lists(keys, min_size=10, max_size=30, unique=True)):
        facts.usage.append((*key, draw(st.sampled_from([1, 2, 3, 5]))))
    for *key, count in facts.usage:
        time = st.integers(0, 5).map(lambda part, day=key[3]: day * 1000 + part)
        facts.times[tuple(key)] = sorted(draw(st.lists(time, min_size=count, max_size=count)))
    for *key, _ in facts.usage:
        if draw(st.booleans()):  # not every event carries a number
            told = sorted(draw(st.lists(st.sampled_from([-1, 0.5, 1, 3]), min_size=1, max_size=3)))
            added, last = round(sum(told) * 10**6), draw(st.sampled_from(told))
            when = key[3] * 1000 + draw(st.integers(0, 3))
            facts.metered[tuple(key)] = (added, round(told[-1] * 10**6), round(last * 10**6), when)
    dated = st.tuples(
        st.sampled_from(["free", "team", "5"]), st.sampled_from(["rows", "A"]), st.sampled_from([0, 30, 36])
    )
    for limit in draw(st.lists(dated, max_size=4, unique=True)):
        facts.limits.append((*limit, draw(st.sampled_from([1_000_000, 3_000_000, 2_500_001]))))
    values = st.tuples(where, users, types, days, st.sampled_from("xyz"))
    # a value comes with the usage of its event
    for value in draw(st.lists(values, min_size=4, max_size=12, unique=True)):
        facts.values.append(value)
        if not any(row[:4] == value[:4] for row in facts.usage):
            facts.usage.append((*value[:4], 1))
            facts.times[value[:4]] = [value[3] * 1000 + draw(st.integers(0, 5))]
    for _ in range(draw(st.integers(0, 6))):
        whose = draw(st.sampled_from(["account", "user"] if facts.users else ["account"]))
        number = draw(st.sampled_from(sorted(facts.accounts if whose == "account" else facts.users)))
        name, start = draw(st.sampled_from(TRAITS)), draw(days)
        end = draw(st.sampled_from([FOREVER, start, start + 1, start + 8]))
        if not any(row[:3] == (whose, number, name) and row[4] < end and start < row[5] for row in facts.traits):
            facts.traits.append((whose, number, name, draw(st.sampled_from(VALUES)), start, end))
    for _ in range(draw(st.integers(0, 4))):
        facts.stages.append((draw(accounts), draw(st.sampled_from(["activated", "paid"])), draw(days)))
    return facts
