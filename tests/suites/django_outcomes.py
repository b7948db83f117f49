"""Settings and a test runner for Django's own tests: outcomes are written as outcomes.py does."""
import os
import signal
import unittest

from django.test.runner import DiscoverRunner

HERE = {'ENGINE': 'django.db.backends.postgresql', 'HOST': os.environ['PGHOST'],
        'PORT': os.environ['PGPORT'], 'USER': os.environ['PGUSER']}
# Server-side cursors live in a transaction or are WITH HOLD: nothing is switched off here.
DATABASES = {'default': {**HERE, 'NAME': os.environ['PGDATABASE']},
             'other': {**HERE, 'NAME': os.environ['PGDATABASE'], 'TEST': {'NAME': 'test_other'}}}
SECRET_KEY = 'tests only'
PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']
DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'
USE_TZ = False
TEST_RUNNER = 'django_outcomes.Runner'

PATH = os.environ['SUITE_OUTCOMES']
TEST_SECONDS = 60


def note(what, test):
    with open(PATH, 'a') as file:
        file.write(f'{what}\t{test}\n')


def only():
    try:
        with open(PATH + '.only') as file:
            return {test.rpartition('.')[0] for test in file.read().split('\n')}
    except FileNotFoundError:
        return None


def too_long(*_):
    raise TimeoutError(f'longer than {TEST_SECONDS} s')


class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        self.outcome = 'passed'
        note('started', test.id())
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(TEST_SECONDS)

    def stopTest(self, test):
        signal.alarm(0)
        note(self.outcome, test.id())
        super().stopTest(test)

    def addError(self, test, err):
        self._failed(test, err)
        super().addError(test, err)

    def addFailure(self, test, err):
        self._failed(test, err)
        super().addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._failed(test, err)
        super().addSubTest(test, subtest, err)

    def addSkip(self, test, reason):
        self.outcome = 'skipped'
        super().addSkip(test, reason)

    def addExpectedFailure(self, test, err):
        self.outcome = 'skipped'
        super().addExpectedFailure(test, err)

    def _failed(self, test, err):
        self.outcome = 'failed'
        with open(PATH + '.why', 'a', errors='backslashreplace') as file:
            file.write(f'=== {test.id()}\n{self._exc_info_to_string(err, test)}\n')


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result

    def build_suite(self, *arguments, **named):
        suite, wanted = super().build_suite(*arguments, **named), only()
        if wanted is not None:
            suite = type(suite)(test for test in suite if test.id().rpartition('.')[0] in wanted)
        return suite
