package remora.client;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Answers every request of a topic with {@code re-} and its name, but those whose name begins with {@code mute}. */
final class ReplierRole implements Role {
    private DefaultMQPushConsumer consumer;
    private DefaultMQProducer producer;

    @Override
    public void start(Options options) throws MQClientException {
        producer = new DefaultMQProducer(options.text("group") + "-answers", Settings.hook(options));
        Settings.configure(options, producer);
        producer.start();
        consumer = new DefaultMQPushConsumer(options.text("group"), Settings.hook(options), new AllocateMessageQueueAveragely());
        Settings.configure(options, consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(options.text("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) this::answer);
        consumer.start();
    }

    private ConsumeConcurrentlyStatus answer(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
        for (MessageExt message : messages) {
            Messages.received(message, context.getMessageQueue().getBrokerName());
            String name = Bodies.name(message.getBody());
            if (name.startsWith("mute")) {
                continue;
            }
            long startedAt = System.currentTimeMillis();
            try {
                byte[] body = ("re-" + name).getBytes(StandardCharsets.UTF_8);
                producer.send(MessageUtil.createReplyMessage(message, body));
                Events.emit("sent", "body", name, "status", "REPLIED", "started_at", startedAt);
            } catch (Exception e) {
                Events.emit("send-failed", "body", name, "error", Events.describe(e), "started_at", startedAt);
            }
        }
        return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
    }

    @Override
    public Object command(String verb, Options options) {
        throw new IllegalArgumentException("no such command: " + verb);
    }

    @Override
    public void stop() {
        consumer.shutdown();
        producer.shutdown();
    }
}
