"""One RocketMQ client per process, steered by a test.

Commands arrive line by line on standard input, and everything that happens is reported as one JSON object a line on
standard output. The process decides nothing and asserts nothing; the test that started it does.
"""

import ctypes
import os
import sys

import report


class Options(dict):
    """The key=value words of a command line or of a command."""

    def __init__(self, words):
        super().__init__()
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not key:
                raise ValueError("not key=value: " + word)
            self[key] = value

    def number(self, key, otherwise=0):
        return int(self.get(key, otherwise))

    def flag(self, key):
        return self.get(key) == "true"

    def list(self, key):
        return self[key].split(",") if key in self else []


def make(role):
    """The client; importing it here lets an import that fails be reported."""
    import roles

    return roles.ROLES[role]()


def serve(client):
    """Runs commands until "stop" or until the test ends (end of input)."""
    number = 0
    for line in iter(sys.stdin.readline, ""):
        verb, *words = line.rstrip("\n").split("\t")
        if verb == "stop":
            return
        number += 1
        try:
            result = report.facts() if verb == "facts" else client.command(verb, Options(words))
            report.emit("done", command=number, result=result)
        except Exception as e:
            report.emit("failed", command=number, error=report.describe(e))


def main():
    if len(sys.argv) < 2:
        sys.exit("the first argument names the role")
    try:
        client = make(sys.argv[1])
        client.start(Options(sys.argv[2:]))
    except Exception as e:
        report.emit("start-failed", error=report.describe(e))
        return 1
    report.emit("ready")
    serve(client)
    client.stop()
    report.emit("stopped")
    return 0


def run():
    code = main()
    sys.stdout.flush()
    # The library's threads and destructors are not waited for: some never end.
    ctypes.CDLL(None).fflush(None)
    os._exit(code)


if __name__ == "__main__":
    run()
