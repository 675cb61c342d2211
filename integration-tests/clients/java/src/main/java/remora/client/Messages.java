package remora.client;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Reports messages and queues of this client. */
final class Messages {
    /** Where a proxy has noted the address of the message's producer. */
    private static final String BORN_HOST = "__BORNHOST";

    private Messages() {
    }

    static String queue(MessageQueue queue) {
        return queue.getBrokerName() + ":" + queue.getQueueId();
    }

    /** Reports a message that arrived. */
    static void received(MessageExt message, String brokerName) {
        byte[] body = message.getBody();
        Events.emit("received",
            "body", Bodies.name(body),
            "size", body.length,
            "intact", Bodies.intact(body),
            "topic", message.getTopic(),
            "tag", message.getTags(),
            "keys", message.getKeys() == null ? List.of() : List.of(message.getKeys().split(MessageConst.KEY_SEPARATOR)),
            "properties", properties(message),
            "born_host", message.getProperty(BORN_HOST),
            "shard", message.getUserProperty("shard"),
            "id", message.getMsgId(),
            "queue", brokerName + ":" + message.getQueueId(),
            "offset", message.getQueueOffset(),
            "reconsume_times", message.getReconsumeTimes());
    }

    /** What the producer's application has set. */
    private static Map<String, String> properties(MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.keySet().removeAll(MessageConst.STRING_HASH_SET);
        return properties;
    }
}
