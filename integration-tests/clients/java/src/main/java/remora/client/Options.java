package remora.client;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.remoting.RPCHook;

/** The {@code key=value} words of a command line or of a command. */
final class Options {
    private final Map<String, String> values = new LinkedHashMap<>();

    private Options() {
    }

    static Options parse(String[] words, int from) {
        Options options = new Options();
        for (int i = from; i < words.length; i++) {
            int equals = words[i].indexOf('=');
            if (equals < 1) {
                throw new IllegalArgumentException("not key=value: " + words[i]);
            }
            options.values.put(words[i].substring(0, equals), words[i].substring(equals + 1));
        }
        return options;
    }

    boolean has(String key) {
        return values.containsKey(key);
    }

    String text(String key) {
        String value = values.get(key);
        if (value == null) {
            throw new IllegalArgumentException("missing option " + key);
        }
        return value;
    }

    String text(String key, String otherwise) {
        return values.getOrDefault(key, otherwise);
    }

    int number(String key, int otherwise) {
        return has(key) ? Integer.parseInt(text(key)) : otherwise;
    }

    long bigNumber(String key, long otherwise) {
        return has(key) ? Long.parseLong(text(key)) : otherwise;
    }

    boolean flag(String key) {
        return Boolean.parseBoolean(values.get(key));
    }

    /** A comma separated list; empty when the key is absent. */
    List<String> list(String key) {
        return has(key) ? Arrays.asList(text(key).split(",")) : List.of();
    }

    /** What signs each request with a key; null without one. By reflection: clients before 5.4 have that elsewhere. */
    RPCHook hook() {
        if (!has("access-key")) {
            return null;
        }
        try {
            Class<?> credentials = Class.forName("org.apache.rocketmq.acl.common.SessionCredentials");
            Object key = credentials.getConstructor(String.class, String.class)
                .newInstance(text("access-key"), text("secret-key"));
            return (RPCHook) Class.forName("org.apache.rocketmq.acl.common.AclClientRPCHook")
                .getConstructor(credentials).newInstance(key);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this client cannot sign", e);
        }
    }

    /** Sets what every kind of client has in common; whatever is not given keeps the client's own default. */
    void configure(ClientConfig config) {
        config.setNamesrvAddr(text("name-server"));
        if (has("poll-name-server-ms")) {
            config.setPollNameServerInterval(number("poll-name-server-ms", 0));
        }
        if (has("heartbeat-ms")) {
            config.setHeartbeatBrokerInterval(number("heartbeat-ms", 0));
        }
    }
}
