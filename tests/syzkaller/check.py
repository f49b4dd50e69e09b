#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""check.py [--write] [DESCRIPTION HEADER]

Compares the description with the header: each command, constant, flag, size
and offset; and the programs with the description. Prints TAP. With --write the
constants file is made anew.
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
PROGRAMS = ["bus1", "bus1_call"]
INTS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8, "intptr": 8}
# What syzkaller itself has
RESOURCES = {"fd": 4}
CALLS = {"close": ["fd"]}

done = failed = 0


def ok(good, what, why=""):
    global done, failed
    done += 1
    failed += not good
    print(("ok" if good else "not ok"), done, "-", what)
    if not good:
        print("# " + str(why).replace("\n", "\n# "))


def split(text):
    """At the commas that stand in no bracket or quotes"""
    parts, depth, quote, part = [], 0, "", ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c in "[{(":
            depth += 1
        elif c in "]})":
            depth -= 1
        if c == "," and not depth and not quote:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return parts + [part.strip()] if part.strip() or parts else []


def kind(type_):
    """Its name and what stands in brackets behind it"""
    name, _, rest = type_.partition("[")
    return name, split(rest[:-1])


class Description:
    def __init__(self, text):
        self.calls, self.structs, self.unions = {}, {}, {}
        self.flags, self.strings, self.names = {}, {}, set()
        self.resources = dict(RESOURCES)
        self.text = re.sub(r"(?m)^#.*\n", "", text)
        block = None
        for line in self.text.splitlines():
            if block is not None and line[:1] in "}]":
                block = None
            elif block is not None:
                name, rest = line.strip().split(None, 1)
                rest = re.sub(r"\s+\((in|out|inout)\)$", "", rest)
                block.append((name, rest.strip()))
            elif line.endswith(("{", "[")):
                block = []
                where = self.structs if line[-1] == "{" else self.unions
                where[line[:-2]] = block
            elif line.startswith("resource "):
                name, base = re.match(r"resource (\w+)\[(\w+)\]",
                                      line).groups()
                self.resources[name] = INTS.get(base) or self.resources[base]
            elif re.match(r"\w+ = ", line):
                name, values = line.split(" = ")
                if '"' in values:
                    self.strings[name] = re.findall('"([^"]*)"', values)
                else:
                    self.flags[name] = split(values)
            elif re.match(r"[\w$]+\(", line):
                name, arguments = re.match(r"([\w$]+)\((.*)\)", line).groups()
                self.calls[name] = [a.split(" ", 1)[1]
                                    for a in split(arguments)]
        self.constants = sorted(
            set(re.findall(r"\b(?:BUS1_|O_|AT_)[A-Z0-9_]*\b",
                           re.sub(r'"[^"]*"|\$\w+', "", self.text))) |
            {"__NR_" + c.split("$")[0] for c in self.calls})

    def size(self, type_):
        name, arguments = kind(type_)
        if name in INTS:
            return INTS[name]
        if name in ("const", "flags", "len", "bytesize"):
            return INTS[arguments[-1]]
        if name in ("ptr", "ptr64"):
            return 8
        if name in self.structs:
            return sum(self.size(t) for _, t in self.structs[name])
        if name in self.unions:
            return max(self.size(t) for _, t in self.unions[name])
        return self.resources[name]


def run_c(include, body):
    """What it prints, or what the compiler says against it"""
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "a")
        source = ("#define _GNU_SOURCE\n#include <fcntl.h>\n"
                  "#include <stddef.h>\n#include <stdio.h>\n"
                  "#include <sys/syscall.h>\n#include \"%s\"\n"
                  "int main(void)\n{\n%s\treturn 0;\n}\n"
                  % (os.path.abspath(include), body))
        result = subprocess.run(
            [os.environ.get("CC", "gcc"), "-x", "c", "-", "-o", program],
            input=source, text=True, capture_output=True)
        if result.returncode:
            return None, result.stderr
        return subprocess.run([program], text=True,
                              capture_output=True).stdout, ""


def constants_file(description, header):
    out, error = run_c(header, "".join(
        '\tprintf("%s = %%llu\\n", (unsigned long long)(%s));\n' % (c, c)
        for c in description.constants))
    if out is None:
        sys.exit(error)
    return ("# Code generated by syz-sysgen. DO NOT EDIT.\n"
            "arches = amd64\n" + out)


def check_layout(description, header, text):
    """Each structure is one of the header, perhaps with more to its name."""
    known = re.findall(r"^struct (\w+) \{", text, re.M)
    body, seen = "", set()
    for name, fields in description.structs.items():
        of = [k for k in known if name.startswith(k)]
        if not of:
            continue
        of = max(of, key=len)
        seen.add(of)
        offset = 0
        for field, type_ in fields:
            body += ('\t_Static_assert(offsetof(struct %s, %s) == %d, '
                     '"%s.%s");\n' % (of, field, offset, name, field))
            offset += description.size(type_)
        body += ('\t_Static_assert(sizeof(struct %s) == %d, "%s");\n' %
                 (of, offset, name))
    out, error = run_c(header, body)
    ok(out is not None, "sizes and offsets, %d" % body.count("assert"), error)
    ok(seen == set(known), "each structure", sorted(set(known) - seen))


def check_names(description, text):
    commands = set(re.findall(r"#define (BUS1_CMD_\w+)", text))
    called = {c[6:] for c in description.calls if c.startswith("ioctl$")}
    ok(commands == called, "each command", commands ^ called)
    flags = set(re.findall(r"#define (BUS1_\w+_FLAG_\w+)", text))
    ok(flags <= set(description.constants), "each flag",
       flags - set(description.constants))


class Program:
    """One call's arguments after the other, against their types"""

    def __init__(self, description, variables):
        self.d, self.variables = description, variables

    def result(self, text, type_):
        match = re.match(r"<(r\d+)=>(.*)$", text)
        if match:
            if kind(type_)[0] not in self.d.resources:
                raise ValueError("%s is no resource" % text)
            self.variables.add(match.group(1))
            return match.group(2)
        return text

    def check(self, text, type_):
        name, arguments = kind(type_)
        text = self.result(text, type_)
        if re.fullmatch(r"r\d+", text):
            if name not in self.d.resources or text not in self.variables:
                raise ValueError("%s for %s" % (text, type_))
        elif name in ("ptr", "ptr64"):
            if text == "0x0" and "opt" in arguments:
                return
            if not text.startswith("&AUTO="):
                raise ValueError("%s for %s" % (text, type_))
            self.check(text[6:], arguments[1])
        elif name in self.d.unions:
            of = dict(self.d.unions[name])
            member, _, rest = text[1:].partition("=")
            if text[0] != "@" or member not in of:
                raise ValueError("%s for %s" % (text, type_))
            self.check(rest, of[member])
        elif name in self.d.structs or name == "array":
            brackets = "{}" if name in self.d.structs else "[]"
            if arguments[:1] == ["int8"]:
                if not re.fullmatch(r'"([0-9a-f]{2})*"|""/\d+', text):
                    raise ValueError("%s for %s" % (text, type_))
                return
            values = split(text[1:-1])
            if text[0] + text[-1] != brackets:
                raise ValueError("%s for %s" % (text, type_))
            types = [t for _, t in self.d.structs.get(name, ())] or \
                [arguments[0]] * len(values)
            if len(values) != len(types):
                raise ValueError("%d values for %s" % (len(values), type_))
            for value, of in zip(values, types):
                self.check(value, of)
        elif name in ("string", "stringnoz"):
            of = self.d.strings.get(arguments[0], [arguments[0].strip('"')])
            end = "\\x00" if name == "string" else ""
            if text not in ["'%s%s'" % (s, end) for s in of]:
                raise ValueError("%s for %s" % (text, type_))
        elif text == "AUTO":
            if name not in ("const", "len", "bytesize"):
                raise ValueError("AUTO for " + type_)
        elif not re.fullmatch("0x[0-9a-f]+", text):
            raise ValueError("%s for %s" % (text, type_))

    def line(self, line):
        match = re.fullmatch(r"(?:(r\d+) = )?([\w$]+)\((.*?)\)( \(async\))?",
                             line)
        variable, name, arguments, _ = match.groups()
        types = self.d.calls.get(name) or CALLS[name]
        arguments = split(arguments)
        if len(arguments) != len(types):
            raise ValueError("%s takes %d" % (name, len(types)))
        for argument, type_ in zip(arguments, types):
            self.check(argument, type_)
        if variable:
            self.variables.add(variable)
        return name


def check_programs(description):
    called = set()
    for name in PROGRAMS:
        variables, why = set(), ""
        program = Program(description, variables)
        with open(os.path.join(HERE, name), encoding="ascii") as file:
            for n, line in enumerate(file, 1):
                if line[0] in "#\n":
                    continue
                try:
                    called.add(program.line(line.rstrip("\n")))
                except (ValueError, KeyError, AttributeError) as error:
                    why += "line %d: %s\n" % (n, error)
        ok(not why, "the calls of %s are as described" % name, why.strip())
    missing = {c for c in description.calls if "CMD" in c} - called
    ok(not missing, "programs make each call", missing)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    path = arguments[0] if arguments else os.path.join(HERE, "dev_bus1.txt")
    header = arguments[1] if arguments else \
        os.path.join(ROOT, "include/uapi/linux/bus1.h")
    with open(path, encoding="ascii") as file:
        description = Description(file.read())
    with open(header, encoding="utf-8") as file:
        text = file.read()
    constants = os.path.join(HERE, "dev_bus1.txt.const")
    wanted = constants_file(description, header)
    if "--write" in sys.argv:
        with open(constants, "w", encoding="ascii") as file:
            file.write(wanted)
        return 0
    with open(constants, encoding="ascii") as file:
        got = file.read()
    ok(got == wanted, "constants, %d" % len(description.constants),
       set(got.splitlines()) ^ set(wanted.splitlines()))
    check_layout(description, header, text)
    check_names(description, text)
    check_programs(description)
    print("1..%d" % done)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
