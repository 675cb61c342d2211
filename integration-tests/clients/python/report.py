"""Writes what happened, one JSON object a line, and bodies that can be checked on arrival."""

import json
import sys
import threading
import time

END_OF_NAME = "|"

_lock = threading.Lock()
# What does not depend on time and chance, so that it is the same in each run.
_facts = []


def now_ms():
    return int(time.time() * 1000)


def emit(event, **fields):
    line = json.dumps(dict(fields, event=event, at=now_ms()))
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def remember(fact):
    """Keeps a fact for the command "facts"."""
    with _lock:
        _facts.append(fact)


def facts():
    """Everything that was remembered, in an order of its own: that of arrival is chance."""
    with _lock:
        return sorted(_facts)


def describe(error):
    return "{}: {}".format(type(error).__name__, error)


def _padding(position):
    return chr(ord("a") + position % 23)


def body(name, size):
    """A name, then padding that follows from the length alone, so that a body that was cut, mixed up or not
    decompressed is noticed. At least `size` bytes; just the name when it is that long already."""
    if size <= len(name):
        return name
    start = name + END_OF_NAME
    return start + "".join(_padding(i) for i in range(len(start), size))


def body_name(text):
    return text.split(END_OF_NAME, 1)[0]


def intact(text):
    return text == body_name(text) or text == body(body_name(text), len(text))
