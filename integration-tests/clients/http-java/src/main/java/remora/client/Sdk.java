package remora.client;

import com.aliyun.mq.http.MQClient;
import com.aliyun.mq.http.common.ServiceException;
import com.aliyun.mq.http.model.Message;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What both roles need of the SDK. */
final class Sdk {
    /** What a body has in it that is written in another way in XML. */
    private static final String MARKUP = "<a href=\"x\">&amp; 'y' \u4e2d\u6587 ]] \r\n\t</a> end";

    private Sdk() {
    }

    static MQClient client(Options options) {
        return new MQClient("http://" + options.text("endpoints"),
            options.text("access-key", "access"), options.text("secret-key", "secret"));
    }

    /** The body of a message to send, for {@code markup} with that in it. */
    static byte[] body(String name, Options options) {
        if (options.flag("markup")) {
            return (name + "|" + MARKUP).getBytes(StandardCharsets.UTF_8);
        }
        return Bodies.encode(name, options.number("size", 0));
    }

    private static boolean intact(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8);
        return Bodies.intact(body) || text.equals(Bodies.name(body) + "|" + MARKUP);
    }

    /** Reports a message that arrived. */
    static void received(Message message, String topic) {
        byte[] body = message.getMessageBodyBytes();
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        String keys = properties.remove("KEYS");
        String shard = properties.remove("__SHARDINGKEY");
        properties.remove("__STARTDELIVERTIME");
        properties.remove("__TransCheckT");
        Events.emit("received",
            "body", Bodies.name(body),
            "size", body.length,
            "intact", intact(body),
            "topic", topic,
            "tag", message.getMessageTag(),
            "keys", keys == null ? List.of() : List.of(keys.split(" ")),
            "properties", properties,
            "message_group", shard,
            "id", message.getMessageId(),
            "reconsume_times", message.getConsumedTimes() - 1,
            "handle", message.getReceiptHandle(),
            "digest", message.getMessageBodyMD5(),
            "published_at", message.getPublishTime(),
            "first_consumed_at", message.getFirstConsumeTime(),
            "next_consumed_at", message.getNextConsumeTime());
    }

    /** The protocol's code in front, where the server has answered one. */
    static String describe(Exception e) {
        if (e instanceof ServiceException) {
            return ((ServiceException) e).getErrorCode() + ": " + e.getMessage();
        }
        return Events.describe(e);
    }
}
