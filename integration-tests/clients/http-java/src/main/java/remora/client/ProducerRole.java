package remora.client;

import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.MQProducer;
import com.aliyun.mq.http.MQTransProducer;
import com.aliyun.mq.http.model.Message;
import com.aliyun.mq.http.model.TopicMessage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Sends, asks for half messages and ends them as commanded, and reports every result. */
final class ProducerRole implements Role {
    private static final int BATCH = 16;

    private MQClient client;
    private String instance;
    private String group;
    /** Of half messages without an end, by the names in the bodies. */
    private final Map<String, String> handles = new HashMap<>();

    @Override
    public void start(Options options) {
        client = Sdk.client(options);
        instance = options.text("namespace", null);
        group = options.text("group", null);
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "send":
                send(options);
                return null;
            case "checks":
                return checks(options);
            case "end":
                end(options);
                return null;
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    private void send(Options options) {
        String topic = options.text("topic");
        boolean isHalf = options.text("mode", "sync").equals("transaction");
        MQProducer producer = isHalf ? transactions(topic) : client.getProducer(instance, topic);
        for (int i = 0; i < options.number("count", 1); i++) {
            String name = options.text("name") + "-" + i;
            long startedAt = System.currentTimeMillis();
            try {
                TopicMessage sent = producer.publishMessage(message(options, name, i));
                if (isHalf) {
                    handles.put(name, sent.getReceiptHandle());
                    end((MQTransProducer) producer, name, options.text("verdict"));
                }
                Events.emit("sent", "body", name, "status", "SEND_OK", "id", sent.getMessageId(),
                    "digest", sent.getMessageBodyMD5(), "handle", sent.getReceiptHandle(), "started_at", startedAt);
            } catch (Exception e) {
                Events.emit("send-failed", "body", name, "error", Sdk.describe(e), "started_at", startedAt);
            }
        }
    }

    private static TopicMessage message(Options options, String name, int number) {
        TopicMessage message = new TopicMessage(Sdk.body(name, options));
        List<String> tags = options.list("tags");
        if (!tags.isEmpty()) {
            message.setMessageTag(tags.get(number % tags.size()));
        }
        if (options.flag("keys")) {
            message.setMessageKey(name + "-key " + name + "-other");
        }
        if (options.flag("numbered")) {
            message.getProperties().put("number", Integer.toString(number));
        }
        if (options.has("groups")) {
            message.setShardingKey("group-" + number % options.number("groups", 1));
        }
        if (options.has("delay-ms")) {
            message.setStartDeliverTime(System.currentTimeMillis() + options.number("delay-ms", 0));
        }
        if (options.has("check-s")) {
            message.setTransCheckImmunityTime(options.number("check-s", 0));
        }
        return message;
    }

    private MQTransProducer transactions(String topic) {
        return client.getTransProducer(instance, topic, group);
    }

    /** Consumes half messages until there were as many as asked for, or time is up. */
    private Map<String, Object> checks(Options options) throws InterruptedException {
        MQTransProducer producer = transactions(options.text("topic"));
        int count = options.number("count", 1);
        long until = System.nanoTime() + options.number("limit-ms", 30_000) * 1_000_000L;
        List<String> errors = new ArrayList<>();
        int checked = 0;
        while (checked < count && System.nanoTime() < until) {
            try {
                List<Message> messages = producer.consumeHalfMessage(BATCH, options.number("wait-s", 3));
                for (Message message : messages == null ? List.<Message>of() : messages) {
                    String name = Bodies.name(message.getMessageBodyBytes());
                    String verdict = options.text("verdict");
                    Events.emit("checked", "body", name, "verdict", verdict, "id", message.getMessageId(),
                        "next_consumed_at", message.getNextConsumeTime());
                    handles.put(name, message.getReceiptHandle());
                    end(producer, name, verdict);
                    checked++;
                }
            } catch (Exception e) {
                errors.add(Sdk.describe(e));
                Thread.sleep(200);
            }
        }
        return Map.of("received", checked, "errors", errors);
    }

    /** Ends the transactions of these names, or the one of a handle. */
    private void end(Options options) throws Exception {
        MQTransProducer producer = transactions(options.text("topic"));
        if (options.has("handle")) {
            handles.put("", options.text("handle"));
            end(producer, "", options.text("verdict"));
        }
        for (String name : options.list("names")) {
            end(producer, name, options.text("verdict"));
        }
    }

    private void end(MQTransProducer producer, String name, String verdict) throws Exception {
        try {
            if (verdict.equals("commit")) {
                producer.commit(handles.get(name));
            } else if (verdict.equals("rollback")) {
                producer.rollback(handles.get(name));
            }
        } catch (Exception e) {
            throw new Exception(Sdk.describe(e), e);
        }
    }

    @Override
    public void stop() {
        client.close();
    }
}
