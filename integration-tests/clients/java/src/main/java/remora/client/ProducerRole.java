package remora.client;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** A producer: sends as commanded, and reports every result. Also asks for offsets. */
final class ProducerRole implements Role {
    private DefaultMQProducer producer;
    private Sender background;

    @Override
    public void start(Options options) throws MQClientException {
        producer = create(options);
        Settings.configure(options, producer);
        if (options.has("send-timeout-ms")) {
            producer.setSendMsgTimeout(options.number("send-timeout-ms", 0));
        }
        producer.start();
    }

    /** One with the verdict for brokers that check transactions is one that can begin them. */
    private static DefaultMQProducer create(Options options) {
        if (!options.has("check")) {
            return new DefaultMQProducer(options.text("group"), Settings.hook(options), options.flag("trace"), null);
        }
        TransactionMQProducer producer = new TransactionMQProducer(options.text("group"), Settings.hook(options));
        producer.setTransactionListener(new Transactions(options.text("check")));
        return producer;
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "send":
                new Sender(producer, options).run();
                return null;
            case "start-sending":
                background = new Sender(producer, options);
                background.start();
                return null;
            case "stop-sending":
                background.finish();
                return null;
            case "client-id":
                return producer.buildMQClientId();
            case "offsets":
                return offsets(options.text("topic"), options.bigNumber("timestamp", 0));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    private Map<String, Object> offsets(String topic, long timestamp) throws MQClientException {
        List<MessageQueue> queues = new ArrayList<>(producer.fetchPublishMessageQueues(topic));
        Map<String, Object> offsets = new TreeMap<>();
        for (MessageQueue queue : queues) {
            Map<String, Long> values = new LinkedHashMap<>();
            values.put("min", producer.minOffset(queue));
            values.put("max", producer.maxOffset(queue));
            values.put("search", producer.searchOffset(queue, timestamp));
            values.put("earliest_store_time", producer.earliestMsgStoreTime(queue));
            offsets.put(Messages.queue(queue), values);
        }
        return offsets;
    }

    @Override
    public void stop() throws InterruptedException {
        if (background != null) {
            background.finish();
        }
        producer.shutdown();
    }
}
