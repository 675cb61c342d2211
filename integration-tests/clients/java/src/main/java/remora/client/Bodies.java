package remora.client;

import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Message bodies that can be checked on arrival: a name, then padding that follows from the length alone, so that a
 * body that was cut, mixed up or not decompressed is noticed.
 */
final class Bodies {
    private static final char END_OF_NAME = '|';

    private Bodies() {
    }

    /** A body of at least {@code size} bytes; just the name when it is that long already. */
    static byte[] encode(String name, int size) {
        if (size <= name.length()) {
            return name.getBytes(StandardCharsets.UTF_8);
        }
        StringBuilder body = new StringBuilder(size).append(name).append(END_OF_NAME);
        while (body.length() < size) {
            body.append(padding(body.length()));
        }
        return body.toString().getBytes(StandardCharsets.UTF_8);
    }

    static String name(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8);
        int end = text.indexOf(END_OF_NAME);
        return end < 0 ? text : text.substring(0, end);
    }

    static boolean intact(byte[] body) {
        for (int i = name(body).length() + 1; i < body.length; i++) {
            if (body[i] != padding(i)) {
                return false;
            }
        }
        return true;
    }

    static String queue(MessageQueue queue) {
        return queue.getBrokerName() + ":" + queue.getQueueId();
    }

    /** Reports a message that arrived. */
    static void received(MessageExt message, String brokerName) {
        byte[] body = message.getBody();
        Events.emit("received",
            "body", name(body),
            "size", body.length,
            "intact", intact(body),
            "topic", message.getTopic(),
            "tag", message.getTags(),
            "key", message.getKeys(),
            "shard", message.getUserProperty("shard"),
            "id", message.getMsgId(),
            "queue", brokerName + ":" + message.getQueueId(),
            "offset", message.getQueueOffset(),
            "reconsume_times", message.getReconsumeTimes());
    }

    private static char padding(int position) {
        return (char) ('a' + position % 23);
    }
}
