package remora.client;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.MQAdminImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Prepares and looks at the cluster, or asks what only administrators ask of the client's interface. */
final class AdminRole implements Role {
    private static final int MAX_FOUND = 32;
    private static final long HOUR_MS = 3_600_000;

    private DefaultMQProducer producer;

    @Override
    public void start(Options options) throws MQClientException {
        producer = new DefaultMQProducer("cluster-admin", Settings.hook(options));
        Settings.configure(options, producer);
        producer.start();
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "create-topic":
                // On every broker that has the topic from which others are made, that is, on every broker.
                producer.createTopic("TBW102", options.text("topic"), options.number("queues", 4), Map.of());
                return null;
            case "query":
                return query(options);
            case "query-together":
                return queryTogether(options);
            case "view":
                return view(options);
            case "queues":
                return queues(options.text("topic"));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** What a key, or the unique key that a client gives each message, finds; as often as it is found. */
    private List<String> query(Options options) throws Exception {
        String topic = options.text("topic");
        String key = options.text("key");
        long now = System.currentTimeMillis();
        QueryResult result;
        if (options.flag("unique")) {
            MQAdminImpl admin = producer.getDefaultMQProducerImpl().getMqClientFactory().getMQAdminImpl();
            result = admin.queryMessageByUniqKey(topic, key, MAX_FOUND, 0, now + HOUR_MS);
        } else {
            result = producer.queryMessage(topic, key, MAX_FOUND, 0, now + HOUR_MS);
        }
        List<String> names = new ArrayList<>();
        for (MessageExt message : result.getMessageList()) {
            names.add(Bodies.name(message.getBody()));
        }
        return names;
    }

    /** The same question of several threads at once, and what each of them finds. */
    private List<List<String>> queryTogether(Options options) throws Exception {
        String topic = options.text("topic");
        String key = options.text("key");
        long end = System.currentTimeMillis() + HOUR_MS;
        int threads = options.number("threads", 2);
        CyclicBarrier start = new CyclicBarrier(threads);
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        try {
            List<Future<List<String>>> asked = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                asked.add(pool.submit(() -> {
                    start.await();
                    List<String> names = new ArrayList<>();
                    for (MessageExt message : producer.queryMessage(topic, key, MAX_FOUND, 0, end).getMessageList()) {
                        names.add(Bodies.name(message.getBody()));
                    }
                    return names;
                }));
            }
            List<List<String>> found = new ArrayList<>();
            for (Future<List<String>> one : asked) {
                found.add(one.get());
            }
            return found;
        } finally {
            pool.shutdown();
        }
    }

    /** A message by its place; an offset id tells which server to ask, which is here another than it says. */
    private String view(Options options) throws Exception {
        String topic = options.text("topic");
        InetSocketAddress server = new InetSocketAddress("127.0.0.1", options.number("port", 0));
        MessageExt found = null;
        for (MessageExt message : producer.queryMessage(topic, options.text("key"), 1, 0, Long.MAX_VALUE).getMessageList()) {
            String id = MessageDecoder.createMessageId(server, message.getCommitLogOffset());
            found = producer.getDefaultMQProducerImpl().viewMessage(topic, id);
        }
        return found == null ? null : Bodies.name(found.getBody());
    }

    private List<String> queues(String topic) {
        TreeSet<String> queues = new TreeSet<>();
        try {
            for (MessageQueue queue : producer.fetchPublishMessageQueues(topic)) {
                queues.add(Messages.queue(queue));
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
