#!/usr/bin/env python3
"""Runs the tests of a build: the programs that Meson knows, then the whole-program suites with pytest.

Prints a line for each test program and suite, the output of those that fail, and at the end "N passed, N failed" (with
", N skipped" where some were). Skips are failures with SG_MUST_WORK=1.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("SG_BUILD_ROOT") or os.path.join(ROOT, "build")  # an absolute path
MUST_WORK = os.environ.get("SG_MUST_WORK") == "1"
PATIENCE = int(os.environ.get("SG_PATIENCE", "4"))  # times the time that a test says it takes
PYTEST_SUITES = ["live", "escape", "day"]


def folder_of(name):
    """tests/live, as a shell completes it, means the suite."""
    return name.rstrip("/")[len("tests/"):] if name.rstrip("/") in ["tests/" + suite for suite in PYTEST_SUITES] else name


def is_known(name, tests):
    """A name that nothing bears would make a run that tests less than it says."""
    if name in PYTEST_SUITES + ["features"] or any(name == t["name"] or name in suites_of(t) for t in tests):
        return True
    file = name.split("::")[0]
    return file.startswith(tuple("tests/%s/" % suite for suite in PYTEST_SUITES)) and os.path.isfile(os.path.join(ROOT, file))


def suites_of(test):
    return [s.split(":")[-1] for s in test["suite"]]


def meson_tests():
    out = subprocess.run(["meson", "introspect", "--tests", BUILD], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def run_program(test, totals):
    env = dict(os.environ, **test["env"])
    start = time.monotonic()
    try:
        done = subprocess.run(test["cmd"], env=env, cwd=test.get("workdir") or BUILD, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=max(test["timeout"], 30) * PATIENCE)
        code, text = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, text = -1, (error.stdout or b"").decode(errors="replace") + "\ntimed out\n"
    skipped = code == 77 or len(re.findall(r"^\[  SKIPPED \] \S+$", text, re.M)) > 0
    cases = len(re.findall(r"^\[       OK \]", text, re.M)) or 1
    failed = len(set(re.findall(r"^\[  FAILED  \] (\S+)", text, re.M)))
    if code not in (0, 77):
        failed = max(failed, 1)
    word = "FAIL" if failed else "skip" if skipped else "ok"
    print("%-5s %-24s %4d  %6.1f s" % (word, test["name"], cases, time.monotonic() - start), flush=True)
    if failed or (skipped and MUST_WORK):
        print(text[-8000:], flush=True)
    totals["failed"] += failed
    totals["skipped"] += 1 if skipped else 0
    totals["passed"] += 0 if code == 77 else cases if not failed else max(cases - failed, 0)


def run_pytest(suite, totals, files=()):
    """A whole suite, or only some of its files."""
    report = os.path.join(BUILD, "pytest-%s.xml" % suite)
    what = [os.path.join(ROOT, file) for file in files] or [os.path.join(ROOT, "tests", suite)]
    start = time.monotonic()
    code = subprocess.run([sys.executable if "/usr/bin" in sys.executable else "/usr/bin/python3", "-m", "pytest", "-q", "-rs",
                           "-p", "no:cacheprovider", "--tb=short", "--junit-xml", report] + what,
                          cwd=ROOT, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1")).returncode
    if code == 5 or not os.path.exists(report):
        print("FAIL  %s: no test ran" % suite)
        totals["failed"] += 1
        return
    numbers = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for node in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        for key in numbers:
            numbers[key] += int(node.get(key, 0))
    failed = numbers["failures"] + numbers["errors"]
    totals["failed"] += max(failed, 1 if code != 0 else 0)
    totals["skipped"] += numbers["skipped"]
    totals["passed"] += numbers["tests"] - failed - numbers["skipped"]
    print("%-5s %-24s %4d  %6.1f s" % ("FAIL" if code else "ok", suite, numbers["tests"], time.monotonic() - start), flush=True)


def run_features(totals):
    """The core of the live and escape suites without the kernel features that can be done without (tools/test-features)."""
    done = subprocess.run([os.path.join(ROOT, "tools", "test-features"), "--short"], stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, SG_BUILD_ROOT=BUILD))
    print(done.stdout[:done.stdout.rstrip("\n").rfind("\n") + 1], end="", flush=True)
    counts = re.search(r"(\d+) passed, (\d+) failed\n$", done.stdout)
    passed, failed = (int(counts.group(1)), int(counts.group(2))) if counts else (0, 1)
    totals["passed"] += passed
    totals["failed"] += failed if done.returncode == 0 else max(failed, 1)


def main():
    wanted = {folder_of(name) for name in sys.argv[1:]}
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    tests = meson_tests()
    unknown = sorted(name for name in wanted if not is_known(name, tests))
    if unknown:
        sys.exit("run-tests: no test program, suite or file is called %s; suites: %s" % (
            ", ".join(unknown), " ".join(sorted(set(PYTEST_SUITES + ["features"]).union(*map(suites_of, tests))))))
    # Who runs us in the background of a shell has them ignored, and so would each program that is to be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    for test in tests:
        if not wanted or test["name"] in wanted or set(suites_of(test)) & wanted:
            run_program(test, totals)
    for suite in PYTEST_SUITES:
        files = sorted(name for name in wanted if name.startswith("tests/%s/" % suite))
        if files and suite not in wanted:
            run_pytest(suite, totals, files)
        elif os.path.isdir(os.path.join(ROOT, "tests", suite)) and (not wanted or suite in wanted) and \
           any(n.startswith("test_") for n in os.listdir(os.path.join(ROOT, "tests", suite))):
            run_pytest(suite, totals)
    if not wanted or "features" in wanted:
        run_features(totals)
    if MUST_WORK and totals["skipped"]:
        print("%d tests could not run here; with SG_MUST_WORK=1 that is a failure" % totals["skipped"])
        totals["failed"] += totals["skipped"]
        totals["skipped"] = 0
    print("%d passed, %d failed%s" % (totals["passed"], totals["failed"],
                                      ", %d skipped" % totals["skipped"] if totals["skipped"] else ""))
    sys.exit(1 if totals["failed"] or not totals["passed"] else 0)


if __name__ == "__main__":
    main()
