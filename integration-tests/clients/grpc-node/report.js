'use strict';

// Writes what happened, one JSON object a line, and bodies that can be checked on arrival.

const END_OF_NAME = '|';

function emit(event, fields) {
  process.stdout.write(JSON.stringify({ ...fields, event, at: Date.now() }) + '\n');
}

function describe(error) {
  return `${error.name}: ${error.message}`;
}

function padding(position) {
  return String.fromCharCode('a'.charCodeAt(0) + position % 23);
}

// A name, then padding that follows from the length alone, so that a body that was cut, mixed up or not decompressed
// is noticed. At least `size` bytes; just the name when it is that long already.
function body(name, size) {
  if (size <= name.length) {
    return Buffer.from(name);
  }
  const start = name + END_OF_NAME;
  const parts = [start];
  for (let position = start.length; position < size; position++) {
    parts.push(padding(position));
  }
  return Buffer.from(parts.join(''));
}

function bodyName(buffer) {
  return buffer.toString('utf8').split(END_OF_NAME, 1)[0];
}

function intact(buffer) {
  return buffer.length === bodyName(buffer).length || buffer.equals(body(bodyName(buffer), buffer.length));
}

module.exports = { emit, describe, body, bodyName, intact };
