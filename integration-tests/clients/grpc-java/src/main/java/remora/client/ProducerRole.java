package remora.client;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.rocketmq.client.apis.message.Message;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.ProducerBuilder;
import org.apache.rocketmq.client.apis.producer.SendReceipt;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/** Sends as commanded, and reports every result and every check of a transaction. */
final class ProducerRole implements Role {
    private Producer producer;
    private String atCheck;

    @Override
    public void start(Options options) throws Exception {
        ProducerBuilder builder = Settings.provider().newProducerBuilder()
            .setClientConfiguration(Settings.configuration(options))
            .setTopics(options.list("topics").toArray(new String[0]));
        if (options.has("check")) {
            atCheck = options.text("check");
            builder.setTransactionChecker(this::check);
        }
        producer = builder.build();
    }

    private TransactionResolution check(MessageView message) {
        Events.emit("checked", "body", Messages.name(message), "verdict", atCheck);
        return TransactionResolution.valueOf(atCheck.toUpperCase());
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "send":
                send(options);
                return null;
            case "recall":
                return recall(options.text("topic"), options.text("handle"));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    private void send(Options options) throws Exception {
        String mode = options.text("mode", "sync");
        List<CompletableFuture<Void>> outstanding = new ArrayList<>();
        int count = options.number("count", 1);
        for (int i = 0; i < count; i++) {
            String name = options.text("name") + "-" + i;
            Message message = message(options, name, i);
            long startedAt = System.currentTimeMillis();
            if (mode.equals("async")) {
                outstanding.add(producer.sendAsync(message)
                    .handle((receipt, error) -> report(name, startedAt, receipt, error)));
                continue;
            }
            try {
                SendReceipt receipt = mode.equals("transaction")
                    ? transact(message, options.text("verdict"))
                    : producer.send(message);
                report(name, startedAt, receipt, null);
            } catch (Exception e) {
                report(name, startedAt, null, e);
            }
        }
        CompletableFuture.allOf(outstanding.toArray(new CompletableFuture<?>[0])).get();
    }

    private SendReceipt transact(Message message, String verdict) throws Exception {
        Transaction transaction = producer.beginTransaction();
        SendReceipt receipt = producer.send(message, transaction);
        if (verdict.equals("commit")) {
            transaction.commit();
        } else if (verdict.equals("rollback")) {
            transaction.rollback();
        }
        return receipt;
    }

    private static Message message(Options options, String name, int number) throws ReflectiveOperationException {
        MessageBuilder builder = Settings.provider().newMessageBuilder()
            .setTopic(options.text("topic"))
            .setBody(Bodies.encode(name, options.number("size", 0)));
        List<String> tags = options.list("tags");
        if (!tags.isEmpty()) {
            builder.setTag(tags.get(number % tags.size()));
        }
        if (options.flag("keys")) {
            builder.setKeys(name + "-key", name + "-other");
        }
        if (options.flag("numbered")) {
            builder.addProperty("number", Integer.toString(number));
        }
        if (options.has("groups")) {
            builder.setMessageGroup("group-" + number % options.number("groups", 1));
        }
        if (options.has("delay-ms")) {
            builder.setDeliveryTimestamp(System.currentTimeMillis() + options.number("delay-ms", 0));
        }
        List<String> priorities = options.list("priorities");
        if (!priorities.isEmpty()) {
            int priority = Integer.parseInt(priorities.get(number % priorities.size()));
            Settings.call(builder, "setPriority", int.class, priority);
        }
        List<String> liteTopics = options.list("lite-topics");
        if (!liteTopics.isEmpty()) {
            Settings.call(builder, "setLiteTopic", String.class, liteTopics.get(number % liteTopics.size()));
        }
        return builder.build();
    }

    private static Void report(String name, long startedAt, SendReceipt receipt, Throwable error) {
        if (error != null) {
            Events.emit("send-failed", "body", name, "error", Events.describe(error), "started_at", startedAt);
        } else {
            Events.emit("sent", "body", name, "status", "SEND_OK", "id", receipt.getMessageId().toString(),
                "recall_handle", recallHandle(receipt), "started_at", startedAt);
        }
        return null;
    }

    private static Object recallHandle(SendReceipt receipt) {
        try {
            return Settings.publicMethod(receipt, "getRecallHandle").invoke(receipt);
        } catch (ReflectiveOperationException e) {
            // An older client.
            return null;
        }
    }

    /** The id of the message that will not be delivered. */
    private String recall(String topic, String handle) throws Exception {
        Object receipt = Settings.publicMethod(producer, "recallMessage", String.class, String.class)
            .invoke(producer, topic, handle);
        return Settings.publicMethod(receipt, "getMessageId").invoke(receipt).toString();
    }

    @Override
    public void stop() throws IOException {
        producer.close();
    }
}
