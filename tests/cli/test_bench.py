#!/usr/bin/python3
"""The bench harness: what it writes, how it refuses. Environment: SG_SOURCE_ROOT, SG_BUILD_ROOT."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = os.environ.get("SG_SOURCE_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.environ.get("SG_BUILD_ROOT") or os.path.join(SOURCE, "build")
sys.path.insert(0, os.path.join(SOURCE, "bench"))

from harness import plot, report  # noqa: E402
from harness.measure import summarise  # noqa: E402


def bench(*arguments, folder):
    return subprocess.run([sys.executable, os.path.join(SOURCE, "bench", "run"), "--build", BUILD, "--workdir", folder,
                           *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, check=False)


def fake_result(uid=0):
    """A result without measuring: two runners, one of which has a reason that would break a table."""
    cells = {"native": {"samples": [2.0, 4.0], "median": 3.0, "min": 2.0, "max": 4.0, "ratio": 1.0, "left_behind": 0},
             "peer": {"samples": [], "left_behind": 1, "reason": "exit 1: a|b <i> [x]\\", "stderr_tail": ""}}
    return {"format": 1, "quick": True, "rounds": 2,
            "machine": {"date": "2000-01-01", "uid": uid, "system": "S", "kernel": "K", "architecture": "A", "cpu": "C",
                        "cpus": 2, "memory_mib": 1, "filesystem": "f", "load_before": 0.0, "source": "x",
                        "tools": {"gcc": "gcc 1.0", "git": None}},
            "runners": {"native": {"title": "native", "note": "", "available": True, "version": ""},
                        "peer": {"title": "peer", "note": "n", "available": True, "version": "1.0"}},
            "rows": [{"id": "r", "title": "row", "unit": "ms", "ratio": True, "what": "w", "cells": cells}]}


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="shellguard-test-bench-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_json(self, *arguments):
        target = self.path("result.json")
        done = bench("--json", target, *arguments, folder=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        with open(target, encoding="utf-8") as stream:
            return json.load(stream)


class Measured(Folder):
    def test_structure_and_ratio_of_native(self):
        result = self.run_json("--quick", "--rows", "start,open", "--runners", "native,bubblewrap")
        self.assertEqual(result["format"], 1)
        self.assertEqual(result["machine"]["uid"], os.getuid())
        self.assertEqual(result["machine"]["kernel"], os.uname().release)
        self.assertEqual(list(result["runners"]), ["native", "bubblewrap"])
        self.assertEqual([row["id"] for row in result["rows"]], ["start", "open"])
        for row in result["rows"]:
            native = row["cells"]["native"]
            self.assertEqual(native["ratio"], 1)
            self.assertEqual(len(native["samples"]), result["rounds"])
            self.assertLessEqual(native["min"], native["median"])
            self.assertLessEqual(native["median"], native["max"])
            self.assertGreater(native["min"], 0)
            peer = row["cells"]["bubblewrap"]
            # It runs here and is measured, or says why not: nothing in between.
            self.assertNotEqual("median" in peer, "reason" in peer)
            if "reason" in peer:
                self.assertNotEqual(peer["reason"], "")
        self.assertEqual(os.listdir(self.folder), ["result.json"], "the work folder is removed")

    def test_start_of_a_slower_command_is_seen(self):
        """bubblewrap does more than native: the timer must see it. Without it, the reason must name it."""
        result = self.run_json("--quick", "--rows", "start", "--runners", "native,bubblewrap")
        cell = result["rows"][0]["cells"]["bubblewrap"]
        if "reason" in cell:
            self.assertRegex(cell["reason"], "not installed: bwrap|bwrap: ")
        else:
            self.assertGreater(cell["ratio"], 1.2)

    def test_reasons(self):
        result = self.run_json("--quick", "--rows", "open,open-1", "--runners", "native,shellguard,bubblewrap",
                               "--shellguard", self.path("absent"))
        for row in result["rows"]:
            self.assertEqual(row["cells"]["shellguard"]["reason"], "not built: no such program: absent")
            self.assertEqual(row["cells"]["shellguard"]["samples"], [])
        self.assertIn("decides no opens", result["rows"][1]["cells"]["bubblewrap"]["reason"]
                      if result["runners"]["bubblewrap"]["available"] else "decides no opens")
        self.assertIn("median", result["rows"][1]["cells"]["native"])

    def test_reason_is_the_end_of_standard_error(self):
        program = self.path("fake-shellguard")
        with open(program, "w", encoding="utf-8") as stream:
            stream.write('#!/bin/sh\n[ "$1" = --version ] && { echo shellguard 9.9; exit 0; }\n'
                         f'echo first >&2; echo "refused below {self.folder}/x" >&2; exit 126\n')
        os.chmod(program, 0o755)
        result = self.run_json("--quick", "--rows", "start,memory", "--runners", "shellguard", "--shellguard", program)
        self.assertEqual(result["runners"]["shellguard"]["version"], "shellguard 9.9")
        for row in result["rows"]:
            cell = row["cells"]["shellguard"]
            self.assertRegex(cell["reason"], "^exit 126: refused below ")
            self.assertIn("first", cell["stderr_tail"])
            self.assertNotIn("ratio", cell)

    def test_what_the_profile_runner_is_given(self):
        """A stand-in that runs what follows `--`: each variant passes its own profile, and is measured through it."""
        program = self.path("fake-shellguard")
        with open(program, "w", encoding="utf-8") as stream:
            stream.write('#!/bin/sh\n[ "$1" = --version ] && { echo shellguard 9.9; exit 0; }\n'
                         f'[ "$1 $2" = "run -p" ] && [ "$4" = -- ] || exit 2\ncp "$3" {self.folder}/ || exit 3\n'
                         'shift 4; exec "$@"\n')
        os.chmod(program, 0o755)
        ids = ["shellguard", "shellguard-glob", "shellguard-logwrite"]
        result = self.run_json("--quick", "--rows", "stat,connect-host", "--runners", "native," + ",".join(ids),
                               "--shellguard", program)
        for name in ids:
            self.assertIn("ratio", result["rows"][0]["cells"][name])
            self.assertIn("ratio", result["rows"][1]["cells"][name])
        texts = {}
        for name in ids + [name + "-net" for name in ids]:
            with open(self.path(name + ".toml"), encoding="utf-8") as stream:
                texts[name] = stream.read()
        self.assertIn('*.secret"]', texts["shellguard-glob"])
        self.assertIn("LogOnWrite = [", texts["shellguard-logwrite"])
        for name in ids:
            self.assertNotIn("Networking", texts[name])
            self.assertRegex(texts[name + "-net"], r'Allow = \["tcp:127\.0\.0\.1:[0-9]+"\]')

    def test_rows_of_processes_and_pipes(self):
        result = self.run_json("--quick", "--rounds", "1", "--rows", "rw,forkexec,connect,pipe,git-status,find,compile,"
                               "open-8,memory,idle-cpu,own-cpu", "--runners", "native,shellguard-glob")
        self.assertEqual(len(result["rows"]), 11)
        for row in result["rows"]:
            for cell in row["cells"].values():
                self.assertNotIn("reason", cell, row["id"])
                self.assertEqual(cell["left_behind"], 0)
        by_id = {row["id"]: row["cells"]["native"]["median"] for row in result["rows"]}
        self.assertEqual(by_id["memory"], 0, "native has no process beside the command")
        for name in ("rw", "forkexec", "connect", "pipe", "git-status", "find", "compile", "open-8"):
            self.assertGreater(by_id[name], 0, name)

    def test_profiles_of_many_rules(self):
        """The goals are 100 ms and twice; other work on the machine has the rest. The loops that were here took 25 s and 1,000 times."""
        result = self.run_json("--quick", "--rounds", "5", "--rows", "compile-rules,decide-10,decide-10000", "--runners",
                               "native,shellguard")
        cells = {row["id"]: row["cells"] for row in result["rows"]}
        for name, cell in cells.items():
            self.assertNotIn("reason", cell["native"], name)
            self.assertIn("without a world", cell["shellguard"]["reason"])
        self.assertLess(cells["compile-rules"]["native"]["min"], 400)
        self.assertLess(cells["decide-10000"]["native"]["min"], 3 * cells["decide-10"]["native"]["min"])


class Refused(Folder):
    def test_unknown_names(self):
        for option in ("--rows", "--runners"):
            done = bench(option, "nonsense", folder=self.folder)
            self.assertEqual(done.returncode, 2)
            self.assertIn(b"nonsense", done.stderr + done.stdout)
        self.assertEqual(os.listdir(self.folder), [])

    def test_programs_missing(self):
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "bench", "run"), "--build", self.folder, "--workdir",
                               self.folder, "--rows", "start"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"ninja -C build", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])


class Reported(Folder):
    def test_ratio_is_paired_by_round(self):
        cells = {"native": {"samples": [1.0, 10.0, 2.0]}, "peer": {"samples": [2.0, 20.0, 4.0]}, "out": {"reason": "x"}}
        summarise(cells, True)
        self.assertEqual(cells["peer"]["ratio"], 2)
        self.assertEqual(cells["native"]["ratio"], 1)
        self.assertNotIn("ratio", cells["out"])
        summarise(without := {"native": {"samples": [0.0]}, "peer": {"samples": [5.0]}}, False)
        self.assertNotIn("ratio", without["peer"])

    def test_table_has_no_hole_and_text_stays_text(self):
        lines = report.table(fake_result())
        row = next(line for line in lines if line.startswith("| peer"))
        self.assertEqual(row, "| peer | – [1] |")
        self.assertIn("3.00 (×1.00)", next(line for line in lines if line.startswith("| native")))
        note = next(line for line in lines if line.startswith("* [1]"))
        self.assertIn(r"a\|b \<i\> \[x\]\\", note)
        self.assertIn("left processes behind", report.markdown(fake_result()))

    def test_plot_is_well_formed(self):
        from xml.dom import minidom
        document = minidom.parseString(plot.svg(fake_result()))
        self.assertEqual(document.documentElement.tagName, "svg")
        self.assertIn("not measured: exit 1", document.toxml())

    def test_update_replaces_its_own_block_only(self):
        document, source = self.path("page.md"), self.path("old.json")
        text = ("head\n<!-- bench:root:begin -->\nold\n<!-- bench:root:end -->\nmiddle\n"
                "<!-- bench:user:begin -->\nkeep\n<!-- bench:user:end -->\ntail\n")
        with open(document, "w", encoding="utf-8") as stream:
            stream.write(text)
        with open(source, "w", encoding="utf-8") as stream:
            json.dump(fake_result(uid=0), stream)
        for _ in range(2):  # the second time the block holds what the first one wrote
            done = bench("--from", source, "--update", document, folder=self.folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(document, encoding="utf-8") as stream:
                new = stream.read()
            self.assertTrue(new.startswith("head\n<!-- bench:root:begin -->\nMeasured as root"))
            self.assertTrue(new.endswith("middle\n<!-- bench:user:begin -->\nkeep\n<!-- bench:user:end -->\ntail\n"))
            self.assertNotIn("\nold\n", new)
            self.assertEqual(new.count("Measured as"), 1)

    def test_update_without_markers_changes_nothing(self):
        document, source = self.path("page.md"), self.path("old.json")
        with open(document, "w", encoding="utf-8") as stream:
            stream.write("<!-- bench:user:end --> <!-- bench:user:begin -->\n")
        with open(source, "w", encoding="utf-8") as stream:
            json.dump(fake_result(uid=1000), stream)
        done = bench("--from", source, "--update", document, folder=self.folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"bench:user:begin", done.stderr)
        with open(document, encoding="utf-8") as stream:
            self.assertEqual(stream.read(), "<!-- bench:user:end --> <!-- bench:user:begin -->\n")


if __name__ == "__main__":
    unittest.main()
