package remora.client;

import java.io.IOException;
import java.util.Map;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;

/** A push consumer; reports what it gets. */
final class PushConsumerRole implements Role {
    private PushConsumer consumer;

    @Override
    public void start(Options options) throws Exception {
        Listener listener = new Listener(options);
        consumer = Settings.provider().newPushConsumerBuilder()
            .setClientConfiguration(Settings.configuration(options))
            .setConsumerGroup(options.text("group"))
            .setSubscriptionExpressions(Map.of(options.text("topic"), Settings.filter(options)))
            .setMessageListener(listener::consume)
            .build();
    }

    @Override
    public Object command(String verb, Options options) {
        throw new IllegalArgumentException("no such command: " + verb);
    }

    @Override
    public void stop() throws IOException {
        consumer.close();
    }

    /** Fails each message as often as it is to, and reports it each time. */
    static final class Listener {
        private final int failTimes;
        private final int consumeMs;

        Listener(Options options) {
            failTimes = options.number("fail-times", 0);
            consumeMs = options.number("consume-ms", 0);
        }

        ConsumeResult consume(MessageView message) {
            Messages.received(message);
            try {
                Thread.sleep(consumeMs);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return message.getDeliveryAttempt() > failTimes ? ConsumeResult.SUCCESS : ConsumeResult.FAILURE;
        }
    }
}
