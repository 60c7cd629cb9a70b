"""Tables and figure of the protocol `matched`."""

from itermask.evaluation.benchmark.matched import Found, Healthy, found_at, healthy_brain, lesion_groups
from itermask.evaluation.benchmark.plan import ProtocolSpec
from itermask.evaluation.benchmark.results import Results
from itermask.evaluation.benchmark.sections import Curves, Section, number, percent, with_interval

COLUMNS = {
    "dice": "Dice",
    "sensitivity": "sensitivity",
    "lesions_found": "lesions found",
    "lesions_false": "false lesions",
    "false_ml": "flagged outside lesions, mL",
}


def matched_sections(results: Results, protocol: ProtocolSpec) -> list[Section]:
    """Return for each data set: Dice at every share beside the figure; then a table for each kind of lesion."""
    title = protocol.title or "At matched false alarms"
    sections = []
    for data in protocol.data:
        methods = [spec.name for spec in results.plan.methods if spec.processes(data)]
        healthy = {method: healthy_brain(results, protocol, method, data) for method in methods}
        groups = lesion_groups(protocol)
        found = {
            (method, name): found_at(results, protocol, method, data, conditions, measured)
            for method, measured in healthy.items()
            if measured is not None
            for name, conditions in groups.items()
        }
        last = list(groups)[-1]
        sections.append(_overview(results, protocol, f"{title}: {data}", methods, healthy, found, list(groups)))
        for name in groups:
            if name != last:
                sections.append(_table(results, protocol, f"{title}: {name}, {data}", methods, healthy, found, name))
        sections.append(_table(results, protocol, f"{title}: every measure, {data}", methods, healthy, found, last))
    return sections


def _overview(
    results: Results,
    protocol: ProtocolSpec,
    title: str,
    methods: list[str],
    healthy: dict[str, Healthy | None],
    found: dict[tuple[str, str], Found],
    groups: list[str],
) -> Section:
    """Return the Dice of all lesions together at every share, and the figure with a panel for each kind."""
    rows = []
    for method in methods:
        one = found.get((method, groups[-1]))
        shares = protocol.shares
        rows.append([method, *(_cell(one, share, "dice", results.plan.seed) for share in shares)])
    panels = {
        name or "lesions": {method: found[method, name].points() for method in methods if (method, name) in found}
        for name in groups
    }
    header = ["method", *(f"Dice at {100 * share:g} %" for share in protocol.shares)]
    return Section(
        title,
        _note(protocol, healthy),
        header,
        rows,
        Curves(panels, "% of healthy brain flagged", "Dice", logarithmic=True, chance=None, markers=False),
    )


def _note(protocol: ProtocolSpec, healthy: dict[str, Healthy | None]) -> str:
    """Return on what the thresholds were chosen."""
    counts = [one for one in healthy.values() if one is not None]
    if not counts:
        return "There is no healthy brain to choose thresholds on."
    scans, subjects = max(one.scans for one in counts), max(one.subjects for one in counts)
    of = f"{scans} scan{'s' * (scans != 1)} of {subjects} subject{'s' * (subjects != 1)}"
    where = ", ".join(protocol.healthy)
    brain = f"the brain in {of} ({where})" if where else f"the brain in the lesion-free slices of the same data, {of}"
    return (
        f"Every method's threshold is the one at which it flags the share named of {brain}. "
        "Means over scans; intervals drawn by subject."
    )


def _table(
    results: Results,
    protocol: ProtocolSpec,
    title: str,
    methods: list[str],
    healthy: dict[str, Healthy | None],
    found: dict[tuple[str, str], Found],
    group: str,
) -> Section:
    """Return every measure at every share."""
    seed, rows, count = results.plan.seed, [], 0
    reference = found.get((protocol.reference, group))
    for share in protocol.shares:
        for method in methods:
            one, measured = found.get((method, group)), healthy[method]
            count = max(count, 0 if one is None else len(one.measures[share]))
            flagged = "–" if measured is None else percent(measured.flagged[share])
            cells = [_cell(one, share, measure, seed) for measure in COLUMNS]
            if protocol.reference:
                same = one is None or reference is None or method == protocol.reference
                cells.append("–" if same else with_interval(one.gain(share, reference, seed)))  # type: ignore[union-attr,arg-type]
            level = "–" if measured is None else number(measured.thresholds[share], 3)
            rows.append([f"{100 * share:g}", method, flagged, level, *cells])
    gain = [f"Dice gained over {protocol.reference}"] if protocol.reference else []
    header = ["% of healthy brain", "method", "flagged, %", "threshold", *COLUMNS.values(), *gain]
    scans = f"{count} scan{'s' * (count != 1)} with a lesion."
    note = f"{scans} *Flagged* is less than wanted where many voxels have one error."
    return Section(title, note, header, rows)


def _cell(found: Found | None, share: float, measure: str, seed: int) -> str:
    """Return a measure with its interval, or a dash."""
    return "–" if found is None else with_interval(found.cell(share, measure, seed))
