"""The smallest values of limits: a program starts with them, and less is refused where it is written."""
import json
import os

import pytest

from conftest import BASE, ROOT

SCHEMA = json.load(open(os.path.join(ROOT, "schema", "profile.schema.json"), encoding="utf-8"))
SMALLEST = {"OpenFiles": 5, "AddressSpace": 3 << 20, "Stack": 16 << 10}


def find(node, name):
    """The schema of a key, wherever it stands."""
    if isinstance(node, dict):
        if name in node.get("properties", {}):
            return node["properties"][name]
        node = list(node.values())
    found = [find(each, name) for each in node] if isinstance(node, list) else []
    return next((each for each in found if each is not None), None)


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_value_starts_a_program(sg, name):
    value = SMALLEST[name]
    assert sg.run(BASE + "Limits = { %s = %d }\n" % (name, value), "/bin/true").status == 0
    assert sg.run(BASE, "/bin/true", options=["--limit", "%s=%d" % (name, value)]).status == 0
    assert find(SCHEMA, name)["anyOf"][0]["minimum"] == value


@pytest.mark.parametrize("name", SMALLEST)
def test_less_is_refused_at_its_place(sg, name):
    value = SMALLEST[name] - 1
    path = sg.profile(BASE + "Limits = { %s = %d }\n" % (name, value))
    least = {"OpenFiles": "write 5 or more", "AddressSpace": 'write "3MiB" or more', "Stack": 'write "16KiB" or more'}[name]
    line = BASE.count("\n") + 1
    done = sg.cli("check", path)
    assert done.returncode == 1 and "%s:%d:" % (path, line) in done.stderr, done.stderr
    for done in (done, sg.cli("run", "-p", path, "--", "/bin/true"),
                 sg.cli("run", "-p", sg.profile(BASE), "--limit", "%s=%d" % (name, value), "--", "/bin/true")):
        assert "with so small a limit %s no program starts" % name in done.stderr and least in done.stderr, done.stderr
    assert sg.cli("run", "-p", sg.profile(BASE), "--limit", "%s=1" % name, "--", "/bin/true").returncode == 125
