#!/usr/bin/env python3
"""Writes a C file that holds text files: embed.py OUT.c FILE..."""
import os
import sys


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
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "policy/builtin.h"\n\n')
        f.write("const struct sg_builtin_text sg_builtin_flags[] = {\n")
        for path in files:
            with open(path, "rb") as source:
                data = source.read()
            if not data.endswith(b"\n"):
                sys.exit("%s: the last line has no end" % path)
            f.write('    {"flags/%s",\n%s, %d},\n' % (os.path.basename(path), literal(data[:-1]), len(data)))
        f.write("};\nconst size_t sg_builtin_flag_count = %d;\n" % len(files))


if __name__ == "__main__":
    main()
