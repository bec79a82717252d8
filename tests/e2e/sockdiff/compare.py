#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Compare what sockdiff says natively and over the shim.

    compare.py DIFFERENCES NATIVE SHIM [NATIVE SHIM ...]

DIFFERENCES lists the deliberate ones: a line "= REASON", and below it one line each of
four fields between bars: sequence, step, native result, result over the shim, all four
shell patterns ("[" is none).  "~" before a line: only sometimes.

Tells of each difference that is not in the list, and of each line of the list that
matches none; exit code 1 if there are any.
"""
import fnmatch
import re
import sys


class Known:
    def __init__(self, number, fields):
        self.number = number
        self.text = " | ".join(fields)
        self.used = 0
        self.sometimes = fields[0].startswith("~ ")
        fields[0] = fields[0].removeprefix("~ ")
        self.match = [re.compile(fnmatch.translate(f.replace("[", "[[]"))).match for f in fields]

    def covers(self, *values):
        return all(m(v) for m, v in zip(self.match, values))


def read_known(path):
    known = []
    with open(path) as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line[0] in "#=":
                continue
            fields = [field.strip() for field in line.split(" | ")]
            if len(fields) != 4:
                sys.exit(f"{path}:{number}: not four fields")
            known.append(Known(number, fields))
    return known


def read_results(path):
    """[(sequence, number, step, result)]"""
    results = []
    with open(path) as f:
        for line in f:
            sequence, step, result = line.rstrip("\n").split("\t")
            number, step = step.split(" ", 1)
            results.append((sequence, int(number), step, result))
    return results


def tell(results, at, shim_result):
    """A difference, with the steps that led there"""
    sequence, number, step, result = results[at]
    print(f"{sequence}, step {number}: {step}")
    print(f"    natively:      {result}")
    print(f"    over the shim: {shim_result}")
    before = [r for r in results[max(0, at - 20):at] if r[0] == sequence]
    print("    after:         " + "; ".join(f"{r[2]} -> {r[3]}" for r in before))


def compare(known, native_path, shim_path):
    native, shim = read_results(native_path), read_results(shim_path)
    different = unknown = 0
    if [r[:3] for r in native] != [r[:3] for r in shim]:
        print(f"{native_path} and {shim_path} are not of the same steps")
        return 1
    for at, (a, b) in enumerate(zip(native, shim)):
        if a == b:
            continue
        different += 1
        matching = [k for k in known if k.covers(a[0], a[2], a[3], b[3])]
        for k in matching:
            k.used += 1
        if not matching:
            unknown += 1
            if unknown <= 100:
                tell(native, at, b[3])
    print(f"{shim_path}: {len(native)} steps, {different} different, {unknown} not listed")
    return unknown


def main():
    path, *files = sys.argv[1:]
    known = read_known(path)
    bad = sum(compare(known, a, b) for a, b in zip(files[::2], files[1::2]))
    for k in known:
        if not k.used and not k.sometimes:
            print(f"{path}:{k.number}: no longer there: {k.text}")
            bad += 1
    sys.exit(1 if bad else 0)


main()
