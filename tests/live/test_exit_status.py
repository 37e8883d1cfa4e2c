"""Every command's exit statuses, against what its help and the manual say of them."""
import os
import re
import subprocess

from conftest import BASE, ROOT, TIMEOUT

NONE = "no-such-thing"
# What is given, and the status. FULL: standard output is a disk without room, which is our own failure.
FULL = "FULL"
ROWS = {
    "run": [(["--", "true"], 0), (["--", "false"], 1), (["--", "sh", "-c", "kill -TERM $$"], 143), (["--nope"], 125),
            (["-p", NONE, "--", "true"], 125), (["-p", "BROKEN", "--", "true"], 125), (["--", "/etc/passwd"], 126), (["--", NONE], 127),
            (["--dry-run", "true"], 0)],
    "check": [(["developer"], 0), (["BROKEN"], 1), ([NONE], 1), (["./" + NONE], 1), ([], 2), (["--nope"], 2), ([FULL, "developer"], 125),
              (["/etc"], 1), (["UNHELD"], 3)],
    "explain": [(["developer"], 0), (["BROKEN"], 1), ([NONE], 1), (["--nope"], 2), ([FULL, "developer"], 125), (["UNHELD"], 3),
                ([FULL, "UNHELD"], 125)],
    "why": [(["--session", "RECORD"], 0), (["/etc/passwd"], 0), (["--session", NONE], 1), (["--session", "/nowhere/x.jsonl"], 1),
            (["--session", "RECORD", "9999"], 1), (["-p", NONE, "/etc/passwd"], 1), (["-p", "BROKEN", "/etc/passwd"], 1), (["--nope"], 2),
            (["nonsense"], 2), ([FULL, "--session", "RECORD"], 125)],
    "audit": [(["list"], 0), (["show", "RECORD"], 0), (["verify", "RECORD"], 0), (["show", NONE], 1), (["verify", NONE], 1),
              (["show", "/nowhere/x.jsonl"], 1), (["verify", "CUT"], 1), (["show", "--follow", "CUT"], 1), ([], 2), (["shwo"], 2),
              (["list", "x"], 2), ([FULL, "show", "RECORD"], 125)],
    "syscalls": [(["read"], 0), ([NONE], 1), (["a", "b"], 2), ([FULL, "read"], 125)],
    "doctor": [([], 0), (["x"], 2), ([FULL], 125)],
    "profiles": [([], 0), (["x"], 2), ([FULL], 125)],
    "ps": [([], 0), (["x"], 2)],
    "stop": [([NONE], 1), (["--network", NONE], 1), ([], 2), (["--nope"], 2), (["--network", "--keep", "nonsense", NONE], 2)],
    "enter": [([NONE], 1), ([NONE, "--", "true"], 1), ([], 125), (["--nope"], 125)],
}
# What the others' tests show: a session that has ended (stop), a command that was entered with, a host that can make no worlds.
ELSEWHERE = {("stop", 0), ("stop", 125), ("ps", 125), ("doctor", 1), ("enter", 126), ("enter", 127), ("enter", 137)}


def status_text(sg, command):
    text = " ".join(sg.cli(command, "--help").stdout.split())
    return text[text.index("Exit status: "):]


def documented(text):
    return {int(n) for n in re.findall(r"(?:^|[ ;(])(\d+)(?::| when)", text)}


def ask(sg, command, arguments):
    done = subprocess.run(sg.command([sg.program, command] + [a for a in arguments if a != FULL]), env=sg.environment(), cwd=sg.cwd,
                          stdin=subprocess.DEVNULL, stdout=open("/dev/full", "w") if FULL in arguments else subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=TIMEOUT)
    return done.returncode, done.stderr


def test_statuses_are_those_of_the_help(sg):
    refused = sg.shell(BASE, "true > /usr/made")
    whole = open(refused.log, "rb").read()
    cut = sg.write("cut.jsonl", "", folder=sg.work)
    with open(cut, "wb") as f:
        f.write(whole[:whole.rstrip(b"\n").rindex(b"\n") + 1])
    names = {"BROKEN": sg.profile("x = 1\n"), "UNHELD": sg.profile("[Label.a]\nSecret = true\n"), "RECORD": refused.log, "CUT": cut}
    for command, rows in ROWS.items():
        text = status_text(sg, command)
        said = documented(text)
        for arguments, status in rows:
            found, complaint = ask(sg, command, [names.get(a, a) for a in arguments])
            assert found == status, (command, arguments, found, complaint)
            assert found in said or (command == "run" and found not in (125, 126, 127)), (command, found, text)
            if found in (1, 2, 3, 125) and command not in ("run", "audit") and FULL not in arguments:
                assert complaint != "", (command, arguments)
        seen = {status for _, status in rows} | {status for name, status in ELSEWHERE if name == command}
        assert said <= seen, (command, said - seen)


def test_the_manual_says_the_same(sg):
    manual = " ".join(open(os.path.join(ROOT, "man", "shellguard.1"), encoding="utf-8").read().replace("\\-", "-").replace('\\(aq', "'").split())
    for command in ROWS:
        text = status_text(sg, command)
        assert text in manual, (command, text)
