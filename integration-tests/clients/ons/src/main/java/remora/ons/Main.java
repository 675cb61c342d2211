package remora.ons;

import com.aliyun.openservices.ons.api.Action;
import com.aliyun.openservices.ons.api.Consumer;
import com.aliyun.openservices.ons.api.Message;
import com.aliyun.openservices.ons.api.ONSFactory;
import com.aliyun.openservices.ons.api.Producer;
import com.aliyun.openservices.ons.api.PropertyKeyConst;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Sends messages and consumes them.
 * Arguments: name server, topic, group, number of messages. Ends with 0 when all have come back.
 */
public final class Main {
    private static final long LIMIT_MS = 60_000;

    private Main() {
    }

    public static void main(String[] words) {
        try {
            System.exit(run(words) ? 0 : 1);
        } catch (Exception e) {
            e.printStackTrace();
            // The client's threads would go on.
            System.exit(2);
        }
    }

    private static boolean run(String[] words) throws InterruptedException {
        String topic = words[1];
        int count = Integer.parseInt(words[3]);
        Properties properties = new Properties();
        properties.setProperty(PropertyKeyConst.NAMESRV_ADDR, words[0]);
        properties.setProperty(PropertyKeyConst.GROUP_ID, words[2]);
        // The client wants some, and signs with them; brokers without users do not look.
        properties.setProperty(PropertyKeyConst.AccessKey, "any");
        properties.setProperty(PropertyKeyConst.SecretKey, "any");

        Set<String> received = ConcurrentHashMap.newKeySet();
        Consumer consumer = ONSFactory.createConsumer(properties);
        consumer.subscribe(topic, "*", (message, context) -> {
            received.add(new String(message.getBody(), StandardCharsets.UTF_8));
            return Action.CommitMessage;
        });
        consumer.start();
        Producer producer = ONSFactory.createProducer(properties);
        producer.start();
        for (int i = 0; i < count; i++) {
            producer.send(new Message(topic, "tag", ("ons-" + i).getBytes(StandardCharsets.UTF_8)));
        }
        long deadline = System.currentTimeMillis() + LIMIT_MS;
        while (received.size() < count && System.currentTimeMillis() < deadline) {
            Thread.sleep(50);
        }
        System.out.println("sent " + count + ", received " + received.size());
        producer.shutdown();
        consumer.shutdown();
        return received.size() == count;
    }
}
