"""What the checks of every venue share: steps that count, and assertions that say what they saw."""

import sys
import time
import traceback


def equal(what, got, want):
    """The value is exactly this one."""
    if got != want:
        raise AssertionError(f"{what} is {got!r}, not {want!r}")


def near(what, got, want, within):
    """The value is this one, up to a rounding that the venue is free to make."""
    if within < abs(got - want):
        raise AssertionError(f"{what} is {got}, not {want} to within {within}")


def holds(what, condition):
    """Something that is not one value."""
    if not condition:
        raise AssertionError(what)


def until(what, probe, seconds=5):
    """The first answer of `probe` that is not None. Reads lag behind writes, at the venues and here."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer is not None:
            return answer
        if end < time.monotonic():
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def run(steps):
    """Runs the steps in their order, one line each, whatever became of those before; ends the process."""
    passed, failed = 0, 0
    for step in steps:
        try:
            print(f"ok: {step()}", flush=True)
            passed += 1
        except Exception as error:  # the client's own exceptions are findings too
            where = traceback.extract_tb(error.__traceback__)
            line = next(frame.lineno for frame in reversed(where) if frame.filename == step.__code__.co_filename)
            print(f"FAILED: {step.__name__}, line {line}: {type(error).__name__}: {error}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if failed == 0 else 1)
