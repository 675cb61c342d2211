package remora.client;

import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.MQConsumer;
import com.aliyun.mq.http.common.AckMessageException;
import com.aliyun.mq.http.model.Message;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Consumes and acknowledges as commanded. */
final class SimpleConsumerRole implements Role {
    private static final int BATCH = 16;

    private MQClient client;
    private MQConsumer consumer;
    private String topic;
    private boolean orderly;
    /** The handles of what was received and not acknowledged yet, by the names in the bodies. */
    private final Map<String, String> held = new LinkedHashMap<>();

    @Override
    public void start(Options options) {
        client = Sdk.client(options);
        topic = options.text("topic");
        orderly = options.flag("orderly");
        consumer = client.getConsumer(
            options.text("namespace", null), topic, options.text("group"), options.text("tags", null));
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "receive":
                return receive(options);
            case "ack":
                return acknowledge(options);
            case "poll":
                return poll(options);
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** Empty when there is nothing: this SDK then returns null. */
    private List<Message> consume(int most, int waitSeconds) {
        List<Message> messages = orderly
            ? consumer.consumeMessageOrderly(most, waitSeconds)
            : consumer.consumeMessage(most, waitSeconds);
        return messages == null ? List.of() : messages;
    }

    /** Receives until there were as many messages as asked for, or time is up. Errors are listed, not thrown. */
    private Map<String, Object> receive(Options options) throws InterruptedException {
        int count = options.number("count", 1);
        long end = System.nanoTime() + options.number("limit-ms", 30_000) * 1_000_000L;
        List<String> errors = new ArrayList<>();
        int received = 0;
        while (received < count && System.nanoTime() < end) {
            try {
                List<Message> messages = consume(
                    Math.min(count - received, options.number("batch", BATCH)), options.number("wait-s", 3));
                List<String> handles = new ArrayList<>();
                for (Message message : messages) {
                    Sdk.received(message, topic);
                    held.put(Bodies.name(message.getMessageBodyBytes()), message.getReceiptHandle());
                    handles.add(message.getReceiptHandle());
                    received++;
                }
                if (options.flag("ack") && !handles.isEmpty()) {
                    consumer.ackMessage(handles);
                    held.values().removeAll(handles);
                }
            } catch (Exception e) {
                errors.add(Sdk.describe(e));
                Thread.sleep(200);
            }
        }
        return Map.of("received", received, "errors", errors);
    }

    /** Asks once; how many messages there were, and how long it took. */
    private Map<String, Object> poll(Options options) throws Exception {
        long started = System.nanoTime();
        try {
            int count = consume(BATCH, options.number("wait-s", 3)).size();
            return Map.of("count", count, "took_ms", (System.nanoTime() - started) / 1_000_000);
        } catch (Exception e) {
            throw new Exception(Sdk.describe(e), e);
        }
    }

    /**
     * Acknowledges the messages with these names, or all, and these handles, in one request.
     *
     * @return the codes of handles that were refused
     */
    private Map<String, String> acknowledge(Options options) throws Exception {
        List<String> handles = new ArrayList<>(options.list("handles"));
        List<String> names = options.has("names") || options.has("handles")
            ? options.list("names") : List.copyOf(held.keySet());
        for (String name : names) {
            handles.add(held.remove(name));
        }
        Map<String, String> refused = new TreeMap<>();
        try {
            consumer.ackMessage(handles);
        } catch (AckMessageException e) {
            e.getErrorMessages().forEach((handle, error) -> refused.put(handle, error.getErrorCode()));
        } catch (Exception e) {
            throw new Exception(Sdk.describe(e), e);
        }
        return refused;
    }

    @Override
    public void stop() {
        client.close();
    }
}
