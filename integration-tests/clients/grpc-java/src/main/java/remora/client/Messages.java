package remora.client;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.TreeMap;
import org.apache.rocketmq.client.apis.message.MessageView;

/** Reports messages of this client. */
final class Messages {
    private Messages() {
    }

    static byte[] body(MessageView message) {
        ByteBuffer buffer = message.getBody();
        byte[] body = new byte[buffer.remaining()];
        buffer.get(body);
        return body;
    }

    static String name(MessageView message) {
        return Bodies.name(body(message));
    }

    /** Reports a message that arrived. */
    static void received(MessageView message) {
        byte[] body = body(message);
        Events.emit("received",
            "body", Bodies.name(body),
            "size", body.length,
            "intact", Bodies.intact(body),
            "topic", message.getTopic(),
            "tag", message.getTag().orElse(null),
            "keys", List.copyOf(message.getKeys()),
            "properties", new TreeMap<>(message.getProperties()),
            "message_group", message.getMessageGroup().orElse(null),
            "id", message.getMessageId().toString(),
            "born_at", message.getBornTimestamp(),
            "reconsume_times", message.getDeliveryAttempt() - 1);
    }
}
