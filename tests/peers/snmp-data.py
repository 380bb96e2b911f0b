#!/usr/bin/python3
"""A handler of net-snmp's pass_persist: answers from a text file, which is read again at each question.

snmp-data.py FILE      lines of FILE: OID TYPE VALUE, the types being those of snmpd.conf(5)

snmpd itself does all of the protocol; this only says what stands in the tables.
"""

import sys


def numbers(oid):
    return tuple(int(part) for part in oid.strip(".").split("."))


def rows(path):
    with open(path, encoding="utf-8") as file:
        found = []
        for line in file:
            parts = line.rstrip("\n").split(" ", 2)
            if len(parts) == 3 and parts[0].startswith("."):
                found.append((numbers(parts[0]), parts[0], parts[1], parts[2]))
    return sorted(found)


def answer(path, asked, is_next):
    for oid, text, kind, value in rows(path):
        if oid > asked if is_next else oid == asked:
            return [text, kind, value]
    return ["NONE"]


def main():
    path = sys.argv[1]
    while True:
        word = sys.stdin.readline()
        if not word:
            return
        word = word.strip()
        if word == "PING":
            said = ["PONG"]
        elif word in ("get", "getnext"):
            said = answer(path, numbers(sys.stdin.readline().strip()), word == "getnext")
        elif word == "set":
            sys.stdin.readline()
            sys.stdin.readline()
            said = ["not-writable"]
        else:
            return
        sys.stdout.write("\n".join(said) + "\n")
        sys.stdout.flush()


main()
