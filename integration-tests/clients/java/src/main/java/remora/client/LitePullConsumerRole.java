package remora.client;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A lite pull consumer; polls, seeks and commits when told to. */
final class LitePullConsumerRole implements Role {
    private DefaultLitePullConsumer consumer;
    private String topic;

    @Override
    public void start(Options options) throws MQClientException {
        topic = options.text("topic");
        consumer = new DefaultLitePullConsumer(options.text("group"), Settings.hook(options));
        Settings.configure(options, consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(options.flag("auto-commit"));
        if (options.flag("subscribe")) {
            consumer.subscribe(topic, options.text("tags", "*"));
        }
        consumer.start();
        if (!options.flag("subscribe")) {
            consumer.assign(consumer.fetchMessageQueues(topic));
        }
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "poll":
                return poll(options.number("count", 1), options.bigNumber("limit-ms", 0));
            case "seek":
                consumer.seek(queue(options.text("queue")), options.bigNumber("offset", 0));
                return null;
            case "seek-to-begin":
                for (MessageQueue queue : queues()) {
                    consumer.seekToBegin(queue);
                }
                return null;
            case "seek-to-end":
                for (MessageQueue queue : queues()) {
                    consumer.seekToEnd(queue);
                }
                return null;
            case "commit":
                consumer.commitSync();
                return null;
            case "committed":
                return committed();
            case "offset-for-timestamp":
                return offsetsAt(options.bigNumber("timestamp", 0));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** Polls until {@code count} messages have come or the time is up; returns how many have come. */
    private int poll(int count, long limitMs) {
        long deadline = System.currentTimeMillis() + limitMs;
        int got = 0;
        while (got < count && System.currentTimeMillis() < deadline) {
            List<MessageExt> messages = consumer.poll(100);
            for (MessageExt message : messages) {
                Messages.received(message, message.getBrokerName());
            }
            got += messages.size();
        }
        return got;
    }

    private Map<String, Long> committed() throws MQClientException {
        Map<String, Long> offsets = new TreeMap<>();
        for (MessageQueue queue : queues()) {
            offsets.put(Messages.queue(queue), consumer.committed(queue));
        }
        return offsets;
    }

    private Map<String, Long> offsetsAt(long timestamp) throws MQClientException {
        Map<String, Long> offsets = new TreeMap<>();
        for (MessageQueue queue : queues()) {
            offsets.put(Messages.queue(queue), consumer.offsetForTimestamp(queue, timestamp));
        }
        return offsets;
    }

    private Collection<MessageQueue> queues() throws MQClientException {
        return new ArrayList<>(consumer.fetchMessageQueues(topic));
    }

    private MessageQueue queue(String name) throws MQClientException {
        for (MessageQueue queue : queues()) {
            if (Messages.queue(queue).equals(name)) {
                return queue;
            }
        }
        throw new IllegalArgumentException("no such queue: " + name);
    }

    @Override
    public void stop() {
        consumer.shutdown();
    }
}
