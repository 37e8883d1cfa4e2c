#!/usr/bin/env python3
"""Writes a C file that holds text files, and where each [Define.NAME] of theirs lies: embed.py OUT.c FILE..."""
import os
import re
import sys

# A definition begins with the comment right above its header, and goes on to the next one. A name takes NAME_MAX bytes with its NUL.
HEADER = re.compile(rb"^(?:#.*\n)*\[Define\.([A-Za-z0-9_-]+)\]", re.MULTILINE)
NAME_MAX = 32


def definitions(number, data):
    found = list(HEADER.finditer(data))
    for match, following in zip(found, found[1:] + [None]):
        name = match.group(1).decode("ascii")
        if len(name) >= NAME_MAX:
            sys.exit("the name of the flag %s is too long" % name)
        end = following.start() if following else len(data)
        yield name, number, data.count(b"\n", 0, match.start()), match.start(), end


def literal(data):
    lines = []
    for line in data.split(b"\n"):
        out = ""
        for byte in line:
            char = chr(byte)
            if char in '"\\':
                out += "\\" + char
            elif 0x20 <= byte < 0x7F and char != "?":
                out += char
            else:
                out += "\\%03o" % byte
        lines.append('\t"%s\\n"' % out)
    return "\n".join(lines)


def main():
    out, files = sys.argv[1], sys.argv[2:]
    flags = []
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "policy/builtin.h"\n\n')
        f.write("const struct sg_builtin_text sg_builtin_flags[] = {\n")
        for number, path in enumerate(files):
            with open(path, "rb") as source:
                data = source.read()
            if not data.endswith(b"\n"):
                sys.exit("%s: the last line has no end" % path)
            flags += definitions(number, data)
            f.write('    {"flags/%s",\n%s, %d},\n' % (os.path.basename(path), literal(data[:-1]), len(data)))
        f.write("};\nconst size_t sg_builtin_flag_count = %d;\n" % len(files))
        f.write("const struct sg_builtin_definition sg_builtin_definitions[] = {\n")
        for flag in sorted(flags):
            f.write('    {"%s", %d, %d, %d, %d},\n' % flag)
        f.write("};\nconst size_t sg_builtin_definition_count = %d;\n" % len(flags))


if __name__ == "__main__":
    main()
