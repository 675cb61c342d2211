'use strict';

// What a process is: one producer, one consumer.

const { setTimeout: sleep } = require('node:timers/promises');
const { MQClient, MessageProperties } = require('@aliyunmq/mq-http-sdk');
const report = require('./report');

const BATCH = 16;
// What a body has in it that is written in another way in XML.
const MARKUP = '<a href="x">&amp; \'y\' \u4e2d\u6587 ]] \r\n\t</a> end';
const NOTHING = 'MessageNotExist';

function clientOf(options) {
  return new MQClient(
    'http://' + options.text('endpoints'),
    options.text('access-key', 'access'),
    options.text('secret-key', 'secret'),
  );
}

function markup(name) {
  return Buffer.from(`${name}|${MARKUP}`);
}

// With the protocol's code in front, where the server has answered one.
function describe(e) {
  return e.Code ? `${e.Code}: ${e.message}` : report.describe(e);
}

function named(error) {
  return Object.assign(new Error(describe(error)), { name: 'Refused' });
}

// Reports a message that arrived; its name.
function received(message, topic) {
  const body = Buffer.from(message.MessageBody);
  report.emit('received', {
    body: report.bodyName(body),
    size: body.length,
    intact: report.intact(body) || body.equals(markup(report.bodyName(body))),
    topic,
    tag: message.MessageTag || null,
    keys: (message.MessageKey || '').split(' ').filter(key => key),
    properties: message.Properties,
    message_group: message.ShardingKey || null,
    id: message.MessageId,
    reconsume_times: Number(message.ConsumedTimes) - 1,
    handle: message.ReceiptHandle,
    digest: message.MessageBodyMD5,
    published_at: Number(message.PublishTime),
    first_consumed_at: Number(message.FirstConsumeTime),
    next_consumed_at: Number(message.NextConsumeTime),
  });
  return report.bodyName(body);
}

// Empty when there is nothing: this SDK then throws the server's error.
async function orNothing(consumption) {
  try {
    return (await consumption).body;
  } catch (e) {
    if (e.Code === NOTHING) {
      return [];
    }
    throw e;
  }
}

// Until there were as many messages as asked for, or time is up. Errors are listed, not thrown.
async function repeat(options, receive) {
  const [count, errors] = [options.number('count', 1), []];
  const end = Date.now() + options.number('limit-ms', 30000);
  let total = 0;
  while (total < count && Date.now() < end) {
    try {
      total += await receive(count - total);
    } catch (e) {
      errors.push(describe(e));
      await sleep(200);
    }
  }
  return { received: total, errors };
}

// Sends, asks for half messages and ends them as commanded, and reports every result.
class Producer {
  async start(options) {
    this.client = clientOf(options);
    this.instance = options.text('namespace', '');
    this.group = options.text('group', '');
    // Of half messages without an end, by the names in the bodies.
    this.handles = new Map();
  }

  async command(verb, options) {
    switch (verb) {
      case 'send':
        return this.sendAll(options);
      case 'checks':
        return this.checks(options);
      case 'end':
        return this.endAll(options);
      default:
        throw new Error('no such command: ' + verb);
    }
  }

  transactions(topic) {
    return this.client.getTransProducer(this.instance, topic, this.group);
  }

  async sendAll(options) {
    const isHalf = options.text('mode') === 'transaction';
    const topic = options.text('topic');
    const producer = isHalf ? this.transactions(topic) : this.client.getProducer(this.instance, topic);
    for (let number = 0; number < options.number('count', 1); number++) {
      const name = `${options.text('name')}-${number}`;
      const startedAt = Date.now();
      try {
        const { body: sent } = await this.publish(producer, options, name, number);
        if (isHalf) {
          this.handles.set(name, sent.ReceiptHandle);
          await this.end(producer, name, options.text('verdict'));
        }
        report.emit('sent', {
          body: name,
          status: 'SEND_OK',
          id: sent.MessageId,
          digest: sent.MessageBodyMD5,
          handle: sent.ReceiptHandle || null,
          started_at: startedAt,
        });
      } catch (e) {
        report.emit('send-failed', { body: name, error: describe(e), started_at: startedAt });
      }
    }
  }

  publish(producer, options, name, number) {
    const body = options.flag('markup') ? markup(name) : report.body(name, options.number('size'));
    const tags = options.list('tags');
    const properties = new MessageProperties();
    if (options.flag('keys')) {
      properties.messageKey(`${name}-key ${name}-other`);
    }
    if (options.flag('numbered')) {
      properties.putProperty('number', number);
    }
    if (options.has('groups')) {
      properties.shardingKey(`group-${number % options.number('groups')}`);
    }
    if (options.has('delay-ms')) {
      properties.startDeliverTime(Date.now() + options.number('delay-ms'));
    }
    if (options.has('check-s')) {
      properties.transCheckImmunityTime(options.number('check-s'));
    }
    return producer.publishMessage(body.toString(), tags[number % tags.length], properties);
  }

  // Consumes half messages until there were as many as asked for, or time is up.
  checks(options) {
    const producer = this.transactions(options.text('topic'));
    const verdict = options.text('verdict');
    return repeat(options, async () => {
      const messages = await orNothing(producer.consumeHalfMessage(BATCH, options.number('wait-s', 3)));
      for (const message of messages) {
        const name = report.bodyName(Buffer.from(message.MessageBody));
        const next = Number(message.NextConsumeTime);
        report.emit('checked', { body: name, verdict, id: message.MessageId, next_consumed_at: next });
        this.handles.set(name, message.ReceiptHandle);
        await this.end(producer, name, verdict);
      }
      return messages.length;
    });
  }

  // Ends the transactions of these names, or the one of a handle.
  async endAll(options) {
    const producer = this.transactions(options.text('topic'));
    if (options.has('handle')) {
      this.handles.set('', options.text('handle'));
      await this.end(producer, '', options.text('verdict'));
    }
    for (const name of options.list('names')) {
      await this.end(producer, name, options.text('verdict'));
    }
  }

  async end(producer, name, verdict) {
    try {
      if (verdict === 'commit') {
        await producer.commit(this.handles.get(name));
      } else if (verdict === 'rollback') {
        await producer.rollback(this.handles.get(name));
      }
    } catch (e) {
      throw named(e);
    }
  }

  async stop() {}
}

// Consumes and acknowledges as commanded.
class SimpleConsumer {
  async start(options) {
    this.topic = options.text('topic');
    this.orderly = options.flag('orderly');
    const [instance, group] = [options.text('namespace', ''), options.text('group')];
    this.consumer = clientOf(options).getConsumer(instance, this.topic, group, options.text('tags', ''));
    // The handles of what was received and not acknowledged yet, by the names in the bodies.
    this.held = new Map();
  }

  async command(verb, options) {
    switch (verb) {
      case 'receive':
        return this.receive(options);
      case 'ack':
        return this.acknowledge(options);
      case 'poll':
        return this.poll(options);
      default:
        throw new Error('no such command: ' + verb);
    }
  }

  consume(most, waitSeconds) {
    return orNothing(this.orderly
      ? this.consumer.consumeMessageOrderly(most, waitSeconds)
      : this.consumer.consumeMessage(most, waitSeconds));
  }

  receive(options) {
    return repeat(options, async left => {
      const most = Math.min(left, options.number('batch', BATCH));
      const messages = await this.consume(most, options.number('wait-s', 3));
      const names = messages.map(message => received(message, this.topic));
      messages.forEach((message, at) => this.held.set(names[at], message.ReceiptHandle));
      if (options.flag('ack') && messages.length > 0) {
        await this.consumer.ackMessage(messages.map(message => message.ReceiptHandle));
        names.forEach(name => this.held.delete(name));
      }
      return messages.length;
    });
  }

  // Asks once; how many messages there were, and how long it took.
  async poll(options) {
    const started = Date.now();
    try {
      const messages = await this.consume(BATCH, options.number('wait-s', 3));
      return { count: messages.length, took_ms: Date.now() - started };
    } catch (e) {
      throw named(e);
    }
  }

  // Acknowledges the messages with these names, or all, and these handles, in one request. The codes of handles that
  // were refused.
  async acknowledge(options) {
    const given = options.has('names') || options.has('handles');
    const names = given ? options.list('names') : [...this.held.keys()];
    const handles = options.list('handles').concat(names.map(name => this.held.get(name)));
    names.forEach(name => this.held.delete(name));
    try {
      const { body: errors } = await this.consumer.ackMessage(handles);
      return Object.fromEntries((errors || []).map(error => [error.ReceiptHandle, error.ErrorCode]));
    } catch (e) {
      throw named(e);
    }
  }

  async stop() {}
}

module.exports = { producer: Producer, 'simple-consumer': SimpleConsumer };
