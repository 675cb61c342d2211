import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Field;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.impl.factory.MQClientInstance;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.header.UpdateConsumerOffsetRequestHeader;

/**
 * Makes real clients talk to a real name server and a real broker through a relay that keeps the first frame of each
 * kind, and says what Java's own decoder reads in it. Started by capture.sh.
 */
public class Capture {
    private static final String TOPIC = "GoldenTopic";
    private static final String PRODUCERS = "golden-producers";
    private static final String CONSUMERS = "golden-consumers";
    private static final Map<Integer, String> NAMES = new HashMap<>();

    static {
        NAMES.put(10, "send-message");
        NAMES.put(11, "pull-message");
        NAMES.put(14, "query-consumer-offset");
        NAMES.put(15, "update-consumer-offset");
        NAMES.put(29, "search-offset");
        NAMES.put(30, "max-offset");
        NAMES.put(31, "min-offset");
        NAMES.put(32, "earliest-store-time");
        NAMES.put(34, "heartbeat");
        NAMES.put(35, "unregister-client");
        NAMES.put(36, "send-back");
        NAMES.put(38, "consumer-list");
        NAMES.put(40, "notify-consumer-ids-changed");
        NAMES.put(41, "lock-batch");
        NAMES.put(42, "unlock-batch");
        NAMES.put(46, "check-client-config");
        NAMES.put(105, "route");
        NAMES.put(106, "cluster-info");
        NAMES.put(310, "send-message-v2");
        NAMES.put(320, "send-batch");
        NAMES.put(361, "lite-pull-message");
    }

    private final Path folder;
    private final String serialization;
    private final Map<String, Object> decoded = new TreeMap<>();

    private Capture(Path folder, String serialization) {
        this.folder = folder;
        this.serialization = serialization;
    }

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        String serialization = args[1];
        int nameServer = Integer.parseInt(args[2]);
        int broker = Integer.parseInt(args[3]);
        hideThisMachine();
        Capture capture = new Capture(folder, serialization);
        int brokerRelay = capture.relay(broker, null);
        // The client must come to the broker through the relay, too: routes name that instead.
        int nameServerRelay = capture.relay(nameServer, new String[] {":" + broker, ":" + brokerRelay});
        try {
            capture.run("127.0.0.1:" + nameServerRelay);
        } catch (Exception failure) {
            failure.printStackTrace();
            System.exit(1);
        }
        Files.writeString(folder.resolve("decoded." + serialization + ".json"),
            JSON.toJSONString(capture.decoded, JSONWriter.Feature.PrettyFormat) + "\n");
        System.exit(0);
    }

    /** Unique keys of messages begin with an address of the machine and the number of the process. */
    private static void hideThisMachine() throws Exception {
        Field prefix = MessageClientIDSetter.class.getDeclaredField("FIX_STRING");
        prefix.setAccessible(true);
        char[] chars = (char[]) prefix.get(null);
        Arrays.fill(chars, '0');
        "7F000001".getChars(0, 8, chars, 0);
    }

    private void run(String nameServer) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(PRODUCERS);
        producer.setNamesrvAddr(nameServer);
        producer.setClientIP("127.0.0.1");
        producer.setInstanceName("golden");
        producer.setDefaultTopicQueueNums(2);
        producer.start();
        SendResult sent = producer.send(message("TagA", "KeyA", "hello, \u4e16\u754c"), 10_000);
        MessageQueue queue = sent.getMessageQueue();
        producer.send(List.of(message("TagA", "KeyB", "one"), message("TagB", "KeyC", "two")), queue, 10_000);
        MQClientInstance instance = producer.getDefaultMQProducerImpl().getMqClientFactory();
        MQClientAPIImpl api = instance.getMQClientAPIImpl();
        Field smart = MQClientAPIImpl.class.getDeclaredField("sendSmartMsg");
        smart.setAccessible(true);
        smart.setBoolean(null, false);
        producer.send(message("TagA", "KeyD", "old names"), queue, 10_000);
        smart.setBoolean(null, true);
        producer.maxOffset(queue);
        producer.minOffset(queue);
        producer.searchOffset(queue, 1_700_000_000_000L);
        producer.earliestMsgStoreTime(queue);
        api.getBrokerClusterInfo(5_000);

        CountDownLatch consumed = new CountDownLatch(4);
        DefaultMQPushConsumer first = consumer(nameServer, CONSUMERS, "golden");
        first.subscribe(TOPIC, "TagA || TagB");
        first.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(message -> consumed.countDown());
            // Each comes again by CONSUMER_SEND_MSG_BACK once.
            boolean again = messages.get(0).getReconsumeTimes() == 0;
            return again ? ConsumeConcurrentlyStatus.RECONSUME_LATER : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        first.start();
        consumed.await(30, TimeUnit.SECONDS);
        instance.sendHeartbeatToAllBrokerWithLock();
        DefaultMQPushConsumer second = consumer(nameServer, CONSUMERS, "golden-2");
        second.subscribe(TOPIC, "TagA || TagB");
        second.registerMessageListener((MessageListenerConcurrently) (messages, context) ->
            ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        second.start();

        DefaultMQPushConsumer orderly = consumer(nameServer, "golden-orderly", "golden-3");
        orderly.subscribe(TOPIC, MessageSelector.bySql("TAGS is not null"));
        orderly.registerMessageListener((MessageListenerOrderly) (messages, context) -> ConsumeOrderlyStatus.SUCCESS);
        orderly.start();

        DefaultLitePullConsumer lite = new DefaultLitePullConsumer("golden-lite");
        lite.setNamesrvAddr(nameServer);
        lite.setClientIP("127.0.0.1");
        lite.setInstanceName("golden-4");
        lite.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        lite.subscribe(TOPIC, "*");
        lite.start();
        for (int polls = 0; polls < 5; polls++) {
            lite.poll(1_000);
        }
        lite.commit();

        UpdateConsumerOffsetRequestHeader offset = new UpdateConsumerOffsetRequestHeader();
        offset.setConsumerGroup("golden-lite");
        offset.setTopic(queue.getTopic());
        offset.setQueueId(queue.getQueueId());
        offset.setCommitOffset(1L);
        offset.setBrokerName(queue.getBrokerName());
        String address = instance.findBrokerAddressInPublish(queue.getBrokerName());
        api.updateConsumerOffset(address, offset, 5_000);

        // Long polls last 15 seconds, those of lite consumers 20.
        Thread.sleep(22_000);
        lite.shutdown();
        orderly.shutdown();
        second.shutdown();
        first.shutdown();
        producer.shutdown();
        Thread.sleep(1_000);
    }


    private static Message message(String tag, String key, String body) {
        return new Message(TOPIC, tag, key, body.getBytes(StandardCharsets.UTF_8));
    }

    private static DefaultMQPushConsumer consumer(String nameServer, String group, String instance) {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setClientIP("127.0.0.1");
        consumer.setInstanceName(instance);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setPersistConsumerOffsetInterval(1_000);
        return consumer;
    }

    /** Opens a port whose connections end at another port of this machine; says which. */
    private int relay(int target, String[] replace) throws IOException {
        ServerSocket server = new ServerSocket(target + 1_000, 50, InetAddress.getLoopbackAddress());
        thread(() -> {
            while (true) {
                Socket client = server.accept();
                Socket upstream = new Socket(InetAddress.getLoopbackAddress(), target);
                Map<String, String> asked = new HashMap<>();
                thread(() -> pump(client, upstream, "c", asked, null));
                thread(() -> pump(upstream, client, "s", asked, replace));
            }
        });
        return server.getLocalPort();
    }

    private void pump(Socket from, Socket to, String side, Map<String, String> asked, String[] replace) throws Exception {
        DataInputStream in = new DataInputStream(from.getInputStream());
        OutputStream out = to.getOutputStream();
        while (true) {
            byte[] rest;
            try {
                rest = new byte[in.readInt()];
                in.readFully(rest);
            } catch (IOException closed) {
                from.close();
                to.close();
                return;
            }
            if (replace != null) {
                String text = new String(rest, StandardCharsets.ISO_8859_1).replace(replace[0], replace[1]);
                rest = text.getBytes(StandardCharsets.ISO_8859_1);
            }
            keep(rest, side, asked);
            out.write(ByteBuffer.allocate(4 + rest.length).putInt(rest.length).put(rest).array());
            out.flush();
        }
    }

    private synchronized void keep(byte[] rest, String side, Map<String, String> asked) throws Exception {
        RemotingCommand command = RemotingCommand.decode(rest);
        String file;
        if (command.isResponseType()) {
            String other = side.equals("c") ? "s" : "c";
            String name = asked.remove(other + command.getOpaque());
            if (name == null) {
                return;
            }
            String code = command.getCode() == 0 ? "" : "-" + command.getCode();
            file = name + code + ".response";
        } else {
            String name = NAMES.get(command.getCode());
            String body = command.getBody() == null ? "" : new String(command.getBody(), StandardCharsets.UTF_8);
            if (name == null || name.equals("heartbeat") && !(body.contains(PRODUCERS) && body.contains(CONSUMERS))) {
                return;
            }
            if (name.equals("update-consumer-offset") && !command.isOnewayRPC()) {
                name = "update-consumer-offset-two-way";
            }
            asked.put(side + command.getOpaque(), name);
            file = name + ".request";
        }
        file += "." + serialization + ".bin";
        if (decoded.containsKey(file)) {
            return;
        }
        byte[] frame = ByteBuffer.allocate(4 + rest.length).putInt(rest.length).put(rest).array();
        Files.write(folder.resolve(file), frame);
        Map<String, Object> seen = new TreeMap<>();
        seen.put("code", command.getCode());
        seen.put("language", String.valueOf(command.getLanguage()));
        seen.put("version", command.getVersion());
        seen.put("opaque", command.getOpaque());
        seen.put("flag", command.getFlag());
        seen.put("remark", command.getRemark() == null ? "" : command.getRemark());
        seen.put("extFields", command.getExtFields() == null ? Map.of() : new TreeMap<>(command.getExtFields()));
        seen.put("body", command.getBody() == null ? 0 : command.getBody().length);
        decoded.put(file, seen);
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void thread(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception failure) {
                failure.printStackTrace();
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
