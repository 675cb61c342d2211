package remora.client;

import java.io.IOException;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;

/** A push consumer of the lite topics that it is told to subscribe to; reports what it gets. */
final class LitePushConsumerRole implements Role {
    private LitePushConsumer consumer;

    @Override
    public void start(Options options) throws Exception {
        PushConsumerRole.Listener listener = new PushConsumerRole.Listener(options);
        consumer = Settings.provider().newLitePushConsumerBuilder()
            .setClientConfiguration(Settings.configuration(options))
            .setConsumerGroup(options.text("group"))
            .bindTopic(options.text("topic"))
            .setMessageListener(listener::consume)
            .build();
    }

    @Override
    public Object command(String verb, Options options) throws ClientException {
        switch (verb) {
            case "subscribe":
                consumer.subscribeLite(options.text("lite-topic"));
                return null;
            case "unsubscribe":
                consumer.unsubscribeLite(options.text("lite-topic"));
                return null;
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    @Override
    public void stop() throws IOException {
        consumer.close();
    }
}
