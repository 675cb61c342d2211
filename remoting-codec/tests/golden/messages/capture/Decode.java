import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONWriter;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.PopResult;
import org.apache.rocketmq.client.impl.ClientRemotingProcessor;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.sysflag.MessageSysFlag;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.header.PopMessageRequestHeader;

/**
 * Says what the Java client reads in captured frames, and writes a message with addresses that no test cluster has.
 * Started by the program capture-messages of the crate integration-tests.
 */
public class Decode {
    private static final String BROKER = "broker-a";

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        Files.write(folder.resolve("v6.message.bin"), v6Message());
        Map<String, Object> decoded = new TreeMap<>();
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(file -> file.toString().matches(".*\\.(response|push|message)\\.bin")).sorted().toList();
        }
        for (Path file : files) {
            decoded.put(file.getFileName().toString(), read(file));
        }
        Files.writeString(folder.resolve("decoded.json"),
            JSON.toJSONString(decoded, JSONWriter.Feature.PrettyFormat) + "\n");
        // Netty's threads may be there still.
        System.exit(0);
    }

    private static List<Object> read(Path file) throws Exception {
        String name = file.toString();
        byte[] body = Files.readAllBytes(file);
        RemotingCommand response = null;
        if (!name.endsWith(".message.bin")) {
            response = frame(body);
            body = response.getBody();
        }
        List<MessageExt> messages = MessageDecoder.decodesBatch(ByteBuffer.wrap(body), true, false, true);
        List<Object> all = new ArrayList<>();
        for (MessageExt message : messages) {
            all.add(fields((MessageClientExt) message));
        }
        RemotingCommand request = null;
        if (name.endsWith(".response.bin")) {
            request = frame(Files.readAllBytes(Path.of(name.replace(".response.bin", ".request.bin"))));
        }
        if (request != null && request.getCode() == RequestCode.POP_MESSAGE) {
            List<MessageExt> popped = popped(request, response);
            for (int i = 0; i < popped.size(); i++) {
                @SuppressWarnings("unchecked")
                Map<String, Object> fields = (Map<String, Object>) all.get(i);
                fields.put("receipt", popped.get(i).getProperty("POP_CK"));
                fields.put("timesAfterPop", popped.get(i).getReconsumeTimes());
            }
        }
        return all;
    }

    private static RemotingCommand frame(byte[] bytes) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        buffer.getInt();
        return RemotingCommand.decode(buffer.slice());
    }

    /** What the client makes of the answer to a POP; its method is private. */
    private static List<MessageExt> popped(RemotingCommand request, RemotingCommand response) throws Exception {
        PopMessageRequestHeader header =
            (PopMessageRequestHeader) request.decodeCommandCustomHeader(PopMessageRequestHeader.class);
        ClientConfig config = new ClientConfig();
        config.setDecodeDecompressBody(false);
        MQClientAPIImpl client =
            new MQClientAPIImpl(new NettyClientConfig(), new ClientRemotingProcessor(null), null, config);
        Method method = MQClientAPIImpl.class.getDeclaredMethod("processPopResponse", String.class,
            RemotingCommand.class, String.class, CommandCustomHeader.class);
        method.setAccessible(true);
        PopResult result = (PopResult) method.invoke(client, BROKER, response, header.getTopic(), header);
        return result.getMsgFoundList();
    }

    private static Map<String, Object> fields(MessageClientExt message) {
        Map<String, Object> fields = new TreeMap<>();
        fields.put("storeSize", message.getStoreSize());
        fields.put("bodyCrc", message.getBodyCRC());
        fields.put("queueId", message.getQueueId());
        fields.put("flag", message.getFlag());
        fields.put("queueOffset", message.getQueueOffset());
        fields.put("commitLogOffset", message.getCommitLogOffset());
        fields.put("sysFlag", message.getSysFlag());
        fields.put("bornTime", message.getBornTimestamp());
        fields.put("bornHost", host(message.getBornHost()));
        fields.put("storeTime", message.getStoreTimestamp());
        fields.put("storeHost", host(message.getStoreHost()));
        fields.put("reconsumeTimes", message.getReconsumeTimes());
        fields.put("preparedTransactionOffset", message.getPreparedTransactionOffset());
        byte[] body = message.getBody();
        fields.put("body", HexFormat.of().formatHex(body == null ? new byte[0] : body));
        fields.put("topic", message.getTopic());
        fields.put("properties", new TreeMap<>(message.getProperties()));
        fields.put("offsetMsgId", message.getOffsetMsgId());
        String id = MessageClientIDSetter.getUniqID(message);
        if (id != null) {
            fields.put("idProcess", MessageClientIDSetter.getPidFromID(id));
            fields.put("idAddress", MessageClientIDSetter.getIPStrFromID(id));
        }
        return fields;
    }

    private static String host(SocketAddress address) {
        InetSocketAddress host = (InetSocketAddress) address;
        return host.getAddress().getHostAddress() + " " + host.getPort();
    }

    private static byte[] v6Message() throws Exception {
        MessageExt message = new MessageExt();
        message.setTopic("GoldenMessages");
        message.setBody("from afar".getBytes("UTF-8"));
        message.setKeys("key-v6");
        message.setFlag(7);
        message.setQueueId(3);
        message.setQueueOffset(5);
        message.setCommitLogOffset(1L << 40);
        message.setBornTimestamp(1_700_000_000_000L);
        message.setBornHost(new InetSocketAddress("2001:db8::1", 50123));
        message.setStoreTimestamp(1_700_000_000_001L);
        message.setStoreHost(new InetSocketAddress("2001:db8::2", 10911));
        message.setSysFlag(MessageSysFlag.BORNHOST_V6_FLAG | MessageSysFlag.STOREHOSTADDRESS_V6_FLAG);
        return MessageDecoder.encode(message, false);
    }
}
