"""A plugin for pytest: writes each outcome at once, so that a run that must be ended loses none.

Lines of $SUITE_OUTCOMES: «started\\tTEST» and «OUTCOME\\tTEST». The tests in it are not run again.
$SUITE_OUTCOMES.only, where there is one: tests, one on a line; only their files are run.
"""
import os

PATH = os.environ['SUITE_OUTCOMES']
WORST = ['passed', 'skipped', 'failed']


def known():
    try:
        with open(PATH) as file:
            return {line.rstrip('\n').partition('\t')[2] for line in file}
    except FileNotFoundError:
        return set()


def pytest_collection_modifyitems(config, items):
    done, only = known(), wanted()
    kept = [i for i in items
            if flat(i.nodeid) not in done and (only is None or flat(i.nodeid).partition('::')[0] in only)]
    config.hook.pytest_deselected(items=list(set(items) - set(kept)))
    items[:] = kept


def wanted():
    try:
        with open(PATH + '.only') as file:
            return {test.partition('::')[0] for test in file.read().split('\n')}
    except FileNotFoundError:
        return None


def flat(nodeid):
    return nodeid.encode('unicode_escape').decode()


class Phases:
    """The outcomes of set-up, call and tear-down of the running test."""
    seen = []


def pytest_runtest_logstart(nodeid, location):
    Phases.seen = []
    note('started', nodeid)


def pytest_runtest_logreport(report):
    outcome = report.outcome
    if hasattr(report, 'wasxfail'):
        outcome = 'skipped'
    Phases.seen.append(outcome)
    if report.failed:
        with open(PATH + '.why', 'a', errors='backslashreplace') as file:
            file.write(f'=== {report.nodeid} ({report.when})\n{report.longreprtext}\n')


def pytest_runtest_logfinish(nodeid, location):
    note(max(Phases.seen or ['failed'], key=WORST.index), nodeid)


def note(what, nodeid):
    with open(PATH, 'a') as file:
        file.write(f'{what}\t{flat(nodeid)}\n')
