'use strict';

// What a process is: one producer, one consumer.

const { setTimeout: sleep } = require('node:timers/promises');
const rocketmq = require('rocketmq-client-nodejs');
const report = require('./report');

// Numbers of the protocol that the client does not export.
const FILTER_BY_SQL = 2;
const RESOLUTIONS = { unknown: 0, commit: 1, rollback: 2 };

const BATCH = 16;

function configuration(options) {
  const configured = {
    endpoints: options.text('endpoints'),
    namespace: options.text('namespace', ''),
    sslEnabled: options.flag('tls'),
    requestTimeout: 10000,
  };
  if (options.has('access-key')) {
    configured.sessionCredentials = {
      accessKey: options.text('access-key'),
      accessSecret: options.text('secret-key'),
    };
  }
  return configured;
}

function subscriptions(options) {
  const filter = options.has('sql')
    ? new rocketmq.FilterExpression(options.text('sql'), FILTER_BY_SQL)
    : new rocketmq.FilterExpression(options.text('tags', '*'));
  return new Map([[options.text('topic'), filter]]);
}

// Reports a message that arrived.
function received(message) {
  report.emit('received', {
    body: report.bodyName(message.body),
    size: message.body.length,
    intact: report.intact(message.body) && !message.corrupted,
    topic: message.topic,
    tag: message.tag || null,
    keys: message.keys,
    properties: Object.fromEntries(message.properties),
    message_group: message.messageGroup || null,
    id: message.messageId,
    reconsume_times: message.deliveryAttempt - 1,
  });
}

// Sends as commanded, and reports every result and every check of a transaction.
class Producer {
  async start(options) {
    const configured = { ...configuration(options), topics: options.list('topics') };
    if (options.has('check')) {
      const verdict = options.text('check');
      configured.checker = {
        async check(message) {
          report.emit('checked', { body: report.bodyName(message.body), verdict });
          return RESOLUTIONS[verdict];
        },
      };
    }
    this.client = new rocketmq.Producer(configured);
    await this.client.startup();
  }

  async command(verb, options) {
    switch (verb) {
      case 'send':
        return this.sendAll(options);
      case 'recall':
        return (await this.client.recallMessage(options.text('topic'), options.text('handle'))).messageId;
      default:
        throw new Error('no such command: ' + verb);
    }
  }

  async sendAll(options) {
    const outstanding = [];
    for (let number = 0; number < options.number('count', 1); number++) {
      const name = `${options.text('name')}-${number}`;
      const sent = this.sendOne(options, name, number);
      if (options.text('mode') === 'async') {
        outstanding.push(sent);
      } else {
        await sent;
      }
    }
    await Promise.all(outstanding);
  }

  async sendOne(options, name, number) {
    const startedAt = Date.now();
    try {
      const message = this.message(options, name, number);
      const receipt = options.text('mode') === 'transaction'
        ? await this.transact(message, options.text('verdict'))
        : await this.client.send(message);
      report.emit('sent', {
        body: name,
        status: 'SEND_OK',
        id: receipt.messageId,
        recall_handle: receipt.recallHandle || null,
        started_at: startedAt,
      });
    } catch (e) {
      report.emit('send-failed', { body: name, error: report.describe(e), started_at: startedAt });
    }
  }

  async transact(message, verdict) {
    const transaction = this.client.beginTransaction();
    const receipt = await this.client.send(message, transaction);
    if (verdict === 'commit') {
      await transaction.commit();
    } else if (verdict === 'rollback') {
      await transaction.rollback();
    }
    return receipt;
  }

  message(options, name, number) {
    const message = { topic: options.text('topic'), body: report.body(name, options.number('size')) };
    const next = list => list[number % list.length];
    if (options.has('tags')) {
      message.tag = next(options.list('tags'));
    }
    if (options.flag('keys')) {
      message.keys = [name + '-key', name + '-other'];
    }
    if (options.flag('numbered')) {
      message.properties = new Map([['number', String(number)]]);
    }
    if (options.has('groups')) {
      message.messageGroup = `group-${number % options.number('groups')}`;
    }
    if (options.has('delay-ms')) {
      message.delay = options.number('delay-ms');
    }
    if (options.has('priorities')) {
      message.priority = Number(next(options.list('priorities')));
    }
    if (options.has('lite-topics')) {
      message.liteTopic = next(options.list('lite-topics'));
    }
    return message;
  }

  async stop() {
    await this.client.shutdown();
  }
}

// Receives, acknowledges and postpones as commanded.
class SimpleConsumer {
  async start(options) {
    // What was received and not acknowledged yet, by the names in the bodies.
    this.held = new Map();
    this.client = new rocketmq.SimpleConsumer({
      ...configuration(options),
      consumerGroup: options.text('group'),
      subscriptions: subscriptions(options),
      awaitDuration: options.number('await-ms', 5000),
    });
    await this.client.startup();
  }

  async command(verb, options) {
    switch (verb) {
      case 'receive':
        return this.receive(options);
      case 'ack':
        return this.acknowledge(options.has('names') ? options.list('names') : [...this.held.keys()]);
      case 'change-invisible':
        return this.change(options.text('name'), options.number('invisible-ms'));
      default:
        throw new Error('no such command: ' + verb);
    }
  }

  // Receives until there were as many messages as asked for, or time is up. Errors are listed, not thrown.
  async receive(options) {
    const count = options.number('count', 1);
    const end = Date.now() + options.number('limit-ms', 30000);
    const errors = [];
    let total = 0;
    while (total < count && Date.now() < end) {
      try {
        const most = Math.min(count - total, BATCH);
        for (const message of await this.client.receive(most, options.number('invisible-ms', 30000))) {
          received(message);
          total += 1;
          if (options.flag('ack')) {
            await this.client.ack(message);
          } else {
            this.held.set(report.bodyName(message.body), message);
          }
        }
      } catch (e) {
        errors.push(report.describe(e));
        await sleep(200);
      }
    }
    return { received: total, errors };
  }

  async acknowledge(names) {
    for (const name of names) {
      await this.client.ack(this.find(name));
      this.held.delete(name);
    }
    return names.length;
  }

  async change(name, milliseconds) {
    await this.client.changeInvisibleDuration(this.find(name), milliseconds);
  }

  find(name) {
    const message = this.held.get(name);
    if (!message) {
      throw new Error('not received: ' + name);
    }
    return message;
  }

  async stop() {
    await this.client.shutdown();
  }
}

// Fails each message as often as it is to, and reports it each time.
function listener(options) {
  return {
    async consume(message) {
      received(message);
      await sleep(options.number('consume-ms'));
      const good = message.deliveryAttempt > options.number('fail-times');
      return good ? rocketmq.ConsumeResult.SUCCESS : rocketmq.ConsumeResult.FAILURE;
    },
  };
}

// A push consumer; reports what it gets.
class PushConsumer {
  async start(options) {
    this.client = new rocketmq.PushConsumer({
      ...configuration(options),
      consumerGroup: options.text('group'),
      subscriptions: subscriptions(options),
      messageListener: listener(options),
    });
    await this.client.startup();
  }

  async command(verb) {
    throw new Error('no such command: ' + verb);
  }

  async stop() {
    await this.client.shutdown();
  }
}

// A push consumer of the lite topics that it is told to subscribe to; reports what it gets.
class LitePushConsumer {
  async start(options) {
    this.client = new rocketmq.LitePushConsumerImpl({
      ...configuration(options),
      consumerGroup: options.text('group'),
      bindTopic: options.text('topic'),
      messageListener: listener(options),
    });
    await this.client.startup();
  }

  async command(verb, options) {
    switch (verb) {
      case 'subscribe':
        return this.client.subscribeLite(options.text('lite-topic'));
      case 'unsubscribe':
        return this.client.unsubscribeLite(options.text('lite-topic'));
      default:
        throw new Error('no such command: ' + verb);
    }
  }

  async stop() {
    await this.client.shutdown();
  }
}

module.exports = {
  producer: Producer,
  'simple-consumer': SimpleConsumer,
  'push-consumer': PushConsumer,
  'lite-push-consumer': LitePushConsumer,
};
