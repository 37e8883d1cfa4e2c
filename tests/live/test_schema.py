"""The JSON Schema for editors, both ways: what it takes the program takes, what it refuses the program refuses."""
import glob
import json
import os
import subprocess
import tomllib

import jsonschema
import pytest

from conftest import ROOT

with open(os.path.join(ROOT, "schema", "profile.schema.json"), encoding="utf-8") as stream:
    SCHEMA = json.load(stream)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
SHIPPED = sorted(path for folder in ("profiles", "gallery", "flags") for path in glob.glob(os.path.join(ROOT, folder, "*.toml")))

# Where a section's keys stand, and what else has to stand there for a profile. %s is the key with its value.
PLACES = {
    "": "%s", "Networking": "[Networking]\n%s", "Filesystem": "[Filesystem]\n%s", "Runtime": "[Runtime]\n%s", "User": "[User]\n%s",
    "Misc": "[Misc]\n%s", "Define": "[Define.x]\n%s", "Label": "[Label.a]\n%s", "Walls": "[Label.a]\n[Label.b]\n[Walls]\n%s",
    "Privileged": "[Privileged]\n%s", "Privileged.Action": "[[Privileged.Action]]\n%s", "Test": "[[Test]]\n%s",
}
# Values by the key; else by the type. A flag of the right section for each.
VALUES = {
    "Extends": [], "Flags": {"Networking": ["dns"], "Filesystem": ["tmp"], "Runtime": ["start"], "User": ["create"], "Misc": ["clock"]},
    "NeedsFlags": ["dns"], "Cwd": "/tmp", "As": "nobody", "Category": "Misc", "Env": ["A=1", "B"], "Bounds": ["landlock"],
    "Limits": {"Processes": 5, "Memory": "2GiB", "CpuTime": "1h"}, "Never": [["a", "b"]], "Expect": "deny", "Private": ["/p/"],
    "Action": [{"Name": "restart", "Command": ["/bin/true"]}],
}
VALUES["DenyFlags"] = VALUES["Flags"]


def section_schema(section):
    return SCHEMA if section == "" else SCHEMA["definitions"][section]


def toml(value):
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s = %s" % (key, toml(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return "[%s]" % ", ".join(toml(inner) for inner in value)
    return json.dumps(value)


def resolved(schema):
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].split("/")[-1]]
    return schema


def good_value(section, key, schema):
    value = VALUES.get(key)
    if isinstance(value, dict) and key != "Limits":
        value = value.get(section, ["dns"])
    if section == "Test" and key == "Env":
        value = "HOME"
    if value is not None:
        return value
    schema = resolved(schema)
    if schema.get("type") == "array":
        return [good_value(section, "", schema["items"])]
    if schema.get("type") == "boolean":
        return True
    if "enum" in schema:
        return schema["enum"][0]
    pattern = schema.get("pattern", "")
    return "tcp:10.0.0.1:80" if "tcp" in pattern else "/etc/hostname" if pattern else "text"


def bad_values(section, key, schema):
    """What each type and each list of choices excludes."""
    schema = resolved(schema)
    if schema.get("type") == "array":
        yield 5
        yield "text"
        for bad in bad_values(section, "", schema["items"]):
            yield [bad]
        if "Flags" in key and section in ("Networking", "Filesystem", "Runtime", "User", "Misc"):
            yield ["create" if section != "User" else "dns"]
            yield [""]
    elif schema.get("type") == "object":
        yield 5
        for name, inner in schema.get("properties", {}).items():
            if name in ("Processes", "Memory", "CpuTime"):
                yield {name: "2 potatoes"}
                yield {name: 0}
                yield {name: -1}
                yield {name: [5]}
        yield {"Proceses": 5}
    elif schema.get("type") == "boolean":
        yield "true"
        yield 1
    else:
        yield 5
        yield [["text"]]
        yield ""
        if "enum" in schema or "pattern" in schema:
            yield "nonsense"


def texts():
    """(where, text of a profile): each key as it should be, and broken in each way; each section with a key that there is not."""
    for section, place in PLACES.items():
        for key, schema in section_schema(section)["properties"].items():
            if section == "" and key in SCHEMA["definitions"]:
                continue
            beside = ""
            if section == "Test":
                beside = '\nRead = "/x"' if key in ("Name", "Description", "Expect") else ""
                beside += '\nExpect = "deny"' if key != "Expect" else ""
            yield True, section, key, place % (key + " = " + toml(good_value(section, key, schema)) + beside)
            for bad in bad_values(section, key, schema):
                yield False, section, key, place % (key + " = " + toml(bad) + beside)
        if section:
            yield False, section, "an unknown key", place % "Nonsense = 5"
    yield False, "Test", "no action", '[[Test]]\nExpect = "deny"'
    yield False, "Test", "two actions", '[[Test]]\nRead = "/x"\nWrite = "/x"\nExpect = "deny"'
    yield False, "Test", "no expectation", '[[Test]]\nRead = "/x"'
    yield False, "", "an unknown section", "[Nonsense]\n"
    yield False, "", "a section that is no table", "Filesystem = 5\n"
    yield False, "", "a flag that is no table", "[Define]\nx = 5\n"
    yield False, "", "tests that are no list", "[Test]\nRead = '/x'\nExpect = 'deny'\n"


def test_every_section_is_here():
    assert set(PLACES) - {""} == set(SCHEMA["definitions"]) - {"Glob", "Address", "Call", "GivenCall", "Capability"}


@pytest.mark.parametrize("path", SHIPPED, ids=[os.path.relpath(path, ROOT) for path in SHIPPED])
def test_takes_what_is_shipped(path):
    with open(path, "rb") as file:
        VALIDATOR.validate(tomllib.load(file))


def test_agrees_with_the_program(prefix, tmp_path):
    VALIDATOR.check_schema(SCHEMA)
    good = bad = 0
    wrong = []
    for expected, section, key, text in texts():
        by_schema = VALIDATOR.is_valid(tomllib.loads(text))
        (tmp_path / "p.toml").write_text(text + "\n", encoding="utf-8")
        done = subprocess.run([os.path.join(prefix, "bin", "shellguard"), "check", "./p.toml"], cwd=tmp_path, capture_output=True,
                              text=True, timeout=60, check=False)
        by_program = done.returncode in (0, 3)  # 3: no errors; that run would refuse it is no matter of the form
        if not by_schema == by_program == expected:
            wrong.append((text, "schema: %s, program: %s, expected: %s" % (by_schema, by_program, expected), done.stderr))
        good += expected
        bad += not expected
    assert not wrong, "\n\n".join("\n".join(each) for each in wrong)
    assert good > 80 and bad > 300
