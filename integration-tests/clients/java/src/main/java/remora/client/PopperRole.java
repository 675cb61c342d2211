package remora.client;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.rocketmq.client.consumer.AckCallback;
import org.apache.rocketmq.client.consumer.AckResult;
import org.apache.rocketmq.client.consumer.PopCallback;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.constant.ConsumeInitMode;
import org.apache.rocketmq.common.filter.ExpressionType;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.protocol.header.AckMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ChangeInvisibleTimeRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.ExtraInfoUtil;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;

/**
 * Takes messages by POP, one request for each command: push consumers use neither its order nor the acknowledgement of
 * several at once.
 */
final class PopperRole implements Role {
    private static final long TIMEOUT_MS = 3000;

    /** Any client has the methods; a consumer would take messages by itself. */
    private DefaultMQProducer client;
    private String group;
    private String topic;

    @Override
    public void start(Options options) throws MQClientException {
        group = options.text("group");
        topic = options.text("topic");
        client = new DefaultMQProducer("poppers", Settings.hook(options));
        Settings.configure(options, client);
        client.start();
        if (!factory().updateTopicRouteInfoFromNameServer(topic)) {
            throw new MQClientException("no route for " + topic, null);
        }
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "pop":
                return pop(options);
            case "ack":
                return ack(options.text("handle"));
            case "batch-ack":
                return batchAck(options.list("handles"));
            case "change-invisible":
                return changeInvisible(options.text("handle"), options.bigNumber("invisible-ms", 0));
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** Up to {@code count} messages of one broker, and of one queue where that is named; waits where it is told to. */
    private List<Object> pop(Options options) throws Exception {
        String broker = options.text("broker");
        long pollMs = options.bigNumber("poll-ms", 0);
        PopMessageRequestHeader header = new PopMessageRequestHeader();
        header.setTopic(topic);
        header.setConsumerGroup(group);
        header.setQueueId(options.number("queue", -1));
        header.setMaxMsgNums(options.number("count", 32));
        header.setInvisibleTime(options.bigNumber("invisible-ms", 60_000));
        header.setPollTime(pollMs);
        header.setBornTime(System.currentTimeMillis());
        header.setInitMode(ConsumeInitMode.MIN);
        header.setExpType(ExpressionType.TAG);
        header.setExp("*");
        header.setOrder(options.flag("order"));
        header.setBrokerName(broker);
        Answer answer = new Answer();
        api().popMessageAsync(broker, address(broker), header, pollMs + TIMEOUT_MS, answer);
        List<MessageExt> found = ((PopResult) answer.result()).getMsgFoundList();
        List<Object> messages = new ArrayList<>();
        for (MessageExt message : found == null ? List.<MessageExt>of() : found) {
            messages.add(Map.of(
                "body", Bodies.name(message.getBody()),
                "intact", Bodies.intact(message.getBody()),
                "handle", message.getProperty(MessageConst.PROPERTY_POP_CK),
                "times", message.getReconsumeTimes()));
        }
        return messages;
    }

    private String ack(String handle) throws Exception {
        String[] parts = ExtraInfoUtil.split(handle);
        String broker = ExtraInfoUtil.getBrokerName(parts);
        AckMessageRequestHeader header = new AckMessageRequestHeader();
        header.setTopic(ExtraInfoUtil.getRealTopic(parts, topic, group));
        header.setConsumerGroup(group);
        header.setQueueId(ExtraInfoUtil.getQueueId(parts));
        header.setOffset(ExtraInfoUtil.getQueueOffset(parts));
        header.setExtraInfo(handle);
        header.setBrokerName(broker);
        Answer answer = new Answer();
        api().ackMessageAsync(address(broker), TIMEOUT_MS, answer, header);
        return answer.status();
    }

    /** All of them are one broker's. */
    private String batchAck(List<String> handles) throws Exception {
        String broker = ExtraInfoUtil.getBrokerName(ExtraInfoUtil.split(handles.get(0)));
        Answer answer = new Answer();
        api().batchAckMessageAsync(address(broker), TIMEOUT_MS, answer, topic, group, handles);
        return answer.status();
    }

    /** Returns the handle that takes the place of the old one. */
    private String changeInvisible(String handle, long invisibleMs) throws Exception {
        String[] parts = ExtraInfoUtil.split(handle);
        String broker = ExtraInfoUtil.getBrokerName(parts);
        ChangeInvisibleTimeRequestHeader header = new ChangeInvisibleTimeRequestHeader();
        header.setTopic(ExtraInfoUtil.getRealTopic(parts, topic, group));
        header.setConsumerGroup(group);
        header.setQueueId(ExtraInfoUtil.getQueueId(parts));
        header.setOffset(ExtraInfoUtil.getQueueOffset(parts));
        header.setExtraInfo(handle);
        header.setInvisibleTime(invisibleMs);
        header.setBrokerName(broker);
        Answer answer = new Answer();
        api().changeInvisibleTimeAsync(broker, address(broker), header, TIMEOUT_MS, answer);
        return Objects.requireNonNull(((AckResult) answer.result()).getExtraInfo(), "it is not out any more");
    }

    private MQClientAPIImpl api() {
        return factory().getMQClientAPIImpl();
    }

    /** Never null, with which the client would ask the name server. */
    private String address(String broker) {
        return Objects.requireNonNull(factory().findBrokerAddressInPublish(broker));
    }

    private MQClientInstance factory() {
        return client.getDefaultMQProducerImpl().getMqClientFactory();
    }

    @Override
    public void stop() {
        client.shutdown();
    }

    /** What comes by a call-back. */
    private static final class Answer implements PopCallback, AckCallback {
        private final CompletableFuture<Object> result = new CompletableFuture<>();

        /** Whether what was acknowledged had still been out. */
        String status() throws ExecutionException, InterruptedException {
            return ((AckResult) result()).getStatus().name();
        }

        Object result() throws ExecutionException, InterruptedException {
            return result.get();
        }

        @Override
        public void onSuccess(PopResult popped) {
            result.complete(popped);
        }

        @Override
        public void onSuccess(AckResult acknowledged) {
            result.complete(acknowledged);
        }

        @Override
        public void onException(Throwable e) {
            result.completeExceptionally(e);
        }
    }
}
