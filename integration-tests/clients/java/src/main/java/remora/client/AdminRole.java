package remora.client;

import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** Prepares and looks at the cluster itself; always connected to the real name server. */
final class AdminRole implements Role {
    private final DefaultMQProducer producer = new DefaultMQProducer("cluster-admin");

    @Override
    public void start(Options options) throws MQClientException {
        options.configure(producer);
        producer.start();
    }

    @Override
    public Object command(String verb, Options options) throws MQClientException {
        switch (verb) {
            case "create-topic":
                // On every broker that has the topic from which others are made, that is, on every broker.
                producer.createTopic("TBW102", options.text("topic"), options.number("queues", 4), Map.of());
                return null;
            case "queues":
                return queues(options.text("topic"));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    private List<String> queues(String topic) {
        TreeSet<String> queues = new TreeSet<>();
        try {
            for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
                queues.add(Bodies.queue(queue));
            }
        } catch (MQClientException e) {
            // The topic is not there yet; whoever asks waits for it.
            return List.of();
        }
        return List.copyOf(queues);
    }

    @Override
    public void stop() {
        producer.shutdown();
    }
}
