package remora.client;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** Receives, acknowledges and postpones as commanded. */
final class SimpleConsumerRole implements Role {
    private static final int BATCH = 16;

    private SimpleConsumer consumer;
    /** What was received and not acknowledged yet, by the names in the bodies. */
    private final Map<String, MessageView> held = new LinkedHashMap<>();

    @Override
    public void start(Options options) throws Exception {
        consumer = Settings.provider().newSimpleConsumerBuilder()
            .setClientConfiguration(Settings.configuration(options))
            .setConsumerGroup(options.text("group"))
            .setAwaitDuration(Duration.ofMillis(options.number("await-ms", 5000)))
            .setSubscriptionExpressions(Map.of(options.text("topic"), Settings.filter(options)))
            .build();
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "receive":
                return receive(options);
            case "ack":
                return acknowledge(options);
            case "change-invisible":
                consumer.changeInvisibleDuration(
                    held(options.text("name")), Duration.ofMillis(options.number("invisible-ms", 0)));
                return null;
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** Receives until there were as many messages as asked for, or time is up. Errors are listed, not thrown. */
    private Map<String, Object> receive(Options options) throws InterruptedException {
        int count = options.number("count", 1);
        Duration invisible = Duration.ofMillis(options.number("invisible-ms", 30_000));
        long end = System.nanoTime() + options.number("limit-ms", 30_000) * 1_000_000L;
        List<String> errors = new ArrayList<>();
        int received = 0;
        while (received < count && System.nanoTime() < end) {
            try {
                for (MessageView message : consumer.receive(Math.min(count - received, BATCH), invisible)) {
                    Messages.received(message);
                    received++;
                    if (options.flag("ack")) {
                        consumer.ack(message);
                    } else {
                        held.put(Messages.name(message), message);
                    }
                }
            } catch (Exception e) {
                errors.add(Events.describe(e));
                Thread.sleep(200);
            }
        }
        return Map.of("received", received, "errors", errors);
    }

    /** Acknowledges the messages with these names, or all; the number of them. */
    private int acknowledge(Options options) throws Exception {
        List<String> names = options.has("names") ? options.list("names") : List.copyOf(held.keySet());
        for (String name : names) {
            consumer.ack(held(name));
            held.remove(name);
        }
        return names.size();
    }

    private MessageView held(String name) {
        MessageView message = held.get(name);
        if (message == null) {
            throw new IllegalArgumentException("not received: " + name);
        }
        return message;
    }

    @Override
    public void stop() throws IOException {
        consumer.close();
    }
}
