"""Prints the descriptors of generated modules as a FileDescriptorSet: descriptor.py FILE...

The modules are read, not imported: that needs nothing but Python."""

import ast
import sys


def varint(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded + bytes([number]))


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as module:
        tree = ast.parse(module.read())
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "AddSerializedFile":
            descriptor = call.args[0].value
            # Field 1 of the set: the file.
            sys.stdout.buffer.write(b"\x0a" + varint(len(descriptor)) + descriptor)
