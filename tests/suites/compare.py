"""What differs between a suite's two runs, and which of that is allowed. Pure."""
import fnmatch
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Comparison:
    suite: str
    direct: dict
    through: dict
    # {test: why}
    allowed: dict = field(default_factory=dict)
    # (test, outcome direct, outcome through)
    unexplained: list = field(default_factory=list)
    # Patterns of the allow-list that met no difference.
    unused: list = field(default_factory=list)
    # Tests that pass only through the proxy.
    gained: list = field(default_factory=list)
    # Tests that failed through the proxy, and passed when their files ran again.
    unsteady: list = field(default_factory=list)


def compare(suite, direct, through, allow):
    """`direct`, `through`: {test: passed | failed | skipped | hung}; `allow`: [{test, why}]."""
    made = Comparison(suite, direct, through)
    used = set()
    for test in sorted(set(direct) | set(through)):
        before, after = direct.get(test, 'absent'), through.get(test, 'absent')
        if after == 'passed' and before in ('failed', 'hung'):
            made.gained.append(test)
        if before != 'passed' or after == 'passed':
            continue
        entry = next((e for e in allow if fnmatch.fnmatchcase(test, e['test'])), None)
        if entry:
            used.add(entry['test'])
            made.allowed[test] = entry['why']
        else:
            made.unexplained.append((test, before, after))
    made.unused = [e['test'] for e in allow if e['test'] not in used]
    return made


def settle(made, again):
    """Takes out what passes when it is run again; `again`: the outcomes of that."""
    made.unsteady = [test for test, _, _ in made.unexplained if again.get(test) == 'passed']
    made.unexplained = [entry for entry in made.unexplained if entry[0] not in made.unsteady]


def counts(outcomes):
    """Passed, not passed, skipped."""
    by = Counter(outcomes.values())
    return by['passed'], by['failed'] + by['hung'], by['skipped']


def table(comparisons):
    """Lines of markdown."""
    lines = ['| suite | direct: pass, fail, skip | through: pass, fail, skip | only through failing'
             ' | of these allowed | passed again |', '|---|---|---|---|---|---|']
    for c in comparisons:
        differ = len(c.allowed) + len(c.unexplained) + len(c.unsteady)
        cells = [c.suite, *(' · '.join(f'{n:,}' for n in counts(way))
                            for way in (c.direct, c.through)), str(differ), str(len(c.allowed)),
                 str(len(c.unsteady))]
        lines.append(f'| {" | ".join(cells)} |')
    return lines


def details(comparison):
    """Lines of the tests that fail only through the proxy, and of what the allow-list is for."""
    c, lines = comparison, []
    for test, before, after in c.unexplained:
        lines.append(f'{c.suite}: {test}: {before} direct, {after} through')
    for test, why in c.allowed.items():
        lines.append(f'{c.suite}: {test}: allowed: {why}')
    for test in c.unsteady:
        lines.append(f'{c.suite}: {test}: failed through, and passed when its file ran again')
    for test in c.gained:
        lines.append(f'{c.suite}: {test}: passes only through')
    for pattern in c.unused:
        lines.append(f'{c.suite}: the allow-list has {pattern}, which no longer differs')
    return lines
