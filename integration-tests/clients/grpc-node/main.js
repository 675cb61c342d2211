'use strict';

// One RocketMQ client per process, steered by a test: commands arrive line by line on standard input, and everything
// that happens is reported as one JSON object a line on standard output. The process decides nothing and asserts
// nothing; the test that started it does.

const readline = require('node:readline');
const { describe, emit } = require('./report');

// The key=value words of a command line or of a command.
class Options {
  constructor(words) {
    this.values = new Map();
    for (const word of words) {
      const equals = word.indexOf('=');
      if (equals < 1) {
        throw new Error('not key=value: ' + word);
      }
      this.values.set(word.slice(0, equals), word.slice(equals + 1));
    }
  }

  has(key) {
    return this.values.has(key);
  }

  text(key, otherwise) {
    return this.values.has(key) ? this.values.get(key) : otherwise;
  }

  number(key, otherwise = 0) {
    return this.values.has(key) ? Number(this.values.get(key)) : otherwise;
  }

  flag(key) {
    return this.values.get(key) === 'true';
  }

  // A comma separated list; empty when the key is absent.
  list(key) {
    return this.values.has(key) ? this.values.get(key).split(',') : [];
  }
}

// Runs commands until "stop" or until the test ends (end of input).
async function serve(role) {
  let number = 0;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line === 'stop') {
      return;
    }
    number += 1;
    const [verb, ...words] = line.split('\t');
    try {
      const result = await role.command(verb, new Options(words));
      emit('done', { command: number, result: result === undefined ? null : result });
    } catch (e) {
      emit('failed', { command: number, error: describe(e) });
    }
  }
}

async function main() {
  let role;
  try {
    const options = new Options(process.argv.slice(3));
    if (options.has('authority')) {
      // gRPC reads the variable when it is loaded, which is therefore not done before.
      process.env.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = options.text('authority');
    }
    const roles = require('./roles');
    role = new roles[process.argv[2]]();
    await role.start(options);
  } catch (e) {
    emit('start-failed', { error: describe(e) });
    return 1;
  }
  emit('ready', {});
  await serve(role);
  await role.stop();
  emit('stopped', {});
  return 0;
}

// What the client leaves running is not waited for.
main().then(code => process.stdout.write('', () => process.exit(code)));
