package remora.client;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Phaser;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageConst;

/** Sends messages with the bodies {@code name-0}, {@code name-1}, … in one of the ways that a producer has. */
final class Sender extends Thread {
    /** By its text: clients before 5.0 do not know the constant, but send the property all the same. */
    private static final String DELIVER_AT = "TIMER_DELIVER_MS";
    private static final int FIRST_SEND_TIMEOUT_MS = 10_000;
    private static final MessageQueueSelector BY_SHARD =
        (queues, message, shard) -> queues.get((Integer) shard % queues.size());

    private final DefaultMQProducer producer;
    private final Options options;
    private final Phaser outstanding = new Phaser(1);
    private volatile boolean stopping;

    Sender(DefaultMQProducer producer, Options options) {
        this.producer = producer;
        this.options = options;
    }

    /** Sends {@code count} messages, or until {@link #finish}; returns when every result has been reported. */
    @Override
    public void run() {
        int count = options.number("count", Integer.MAX_VALUE);
        int pause = options.number("pause-ms", 0);
        int step = options.text("mode", "sync").equals("batch") ? options.number("batch", 10) : 1;
        for (int i = 0; i < count && !stopping; i += step) {
            if (i == 0) {
                sendFirst(Math.min(step, count));
            } else {
                send(i, Math.min(step, count - i));
            }
            if (pause > 0) {
                pause(pause);
            }
        }
        outstanding.arriveAndAwaitAdvance();
    }

    /**
     * A virtual machine's first send loads the client's classes, which takes longer than the client waits where cores
     * are few. That is no matter of the servers: it gets more time, and is over before the second.
     */
    private void sendFirst(int count) {
        int timeout = producer.getSendMsgTimeout();
        producer.setSendMsgTimeout(FIRST_SEND_TIMEOUT_MS);
        send(0, count);
        outstanding.arriveAndAwaitAdvance();
        producer.setSendMsgTimeout(timeout);
    }

    void finish() throws InterruptedException {
        stopping = true;
        join();
    }

    private void send(int first, int count) {
        List<Message> messages = new ArrayList<>();
        for (int i = first; i < first + count; i++) {
            messages.add(message(i));
        }
        Message message = messages.get(0);
        long startedAt = System.currentTimeMillis();
        try {
            switch (options.text("mode", "sync")) {
                case "sync":
                    sent(messages, producer.send(message), startedAt);
                    break;
                case "selector":
                    sent(messages, producer.send(message, BY_SHARD, shard(first)), startedAt);
                    break;
                case "transaction":
                    TransactionMQProducer transactional = (TransactionMQProducer) producer;
                    sent(messages, transactional.sendMessageInTransaction(message, options.text("verdict")), startedAt);
                    break;
                case "batch":
                    sent(messages, producer.send(messages), startedAt);
                    break;
                case "oneway":
                    producer.sendOneway(message);
                    Events.emit("sent", "body", name(message), "status", "ONEWAY", "started_at", startedAt);
                    break;
                case "async":
                    sendAsync(messages, startedAt);
                    break;
                default:
                    throw new IllegalArgumentException("no such mode: " + options.text("mode"));
            }
        } catch (Exception e) {
            failed(messages, e, startedAt);
        }
    }

    private void sendAsync(List<Message> messages, long startedAt) throws Exception {
        outstanding.register();
        try {
            producer.send(messages.get(0), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    sent(messages, result, startedAt);
                    outstanding.arriveAndDeregister();
                }

                @Override
                public void onException(Throwable e) {
                    failed(messages, e, startedAt);
                    outstanding.arriveAndDeregister();
                }
            });
        } catch (Exception e) {
            outstanding.arriveAndDeregister();
            throw e;
        }
    }

    private Message message(int i) {
        String name = options.text("name") + "-" + i;
        Message message = new Message(options.text("topic"), Bodies.encode(name, options.number("size", 0)));
        message.setKeys(options.text("key", name));
        message.putUserProperty("number", String.valueOf(i));
        List<String> tags = options.list("tags");
        if (!tags.isEmpty()) {
            message.setTags(tags.get(i % tags.size()));
        }
        if (options.has("shards")) {
            message.putUserProperty("shard", String.valueOf(shard(i)));
        }
        if (options.has("delay-level")) {
            message.setDelayTimeLevel(options.number("delay-level", 0));
        }
        if (options.has("deliver-at")) {
            MessageAccessor.putProperty(message, DELIVER_AT, options.text("deliver-at"));
        }
        return message;
    }

    private int shard(int i) {
        return i % options.number("shards", 1);
    }

    private static String name(Message message) {
        return Bodies.name(message.getBody());
    }

    /** A batch has one result; every message of it is reported. */
    private static void sent(List<Message> messages, SendResult result, long startedAt) {
        for (Message message : messages) {
            Events.emit(result.getSendStatus() == SendStatus.SEND_OK ? "sent" : "send-failed",
                "body", name(message),
                "status", result.getSendStatus(),
                "id", message.getProperty(MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX),
                "queue", Messages.queue(result.getMessageQueue()),
                "offset", result.getQueueOffset(),
                "error", result.getSendStatus(),
                "started_at", startedAt);
        }
    }

    private static void failed(List<Message> messages, Throwable e, long startedAt) {
        for (Message message : messages) {
            Events.emit("send-failed", "body", name(message), "error", Events.describe(e), "started_at", startedAt);
        }
    }

    private static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
