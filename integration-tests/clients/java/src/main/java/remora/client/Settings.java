package remora.client;

import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.remoting.RPCHook;

/** Applies options to this client. */
final class Settings {
    private Settings() {
    }

    /** What signs each request with a key; null without one. By reflection: clients before 5.4 have that elsewhere. */
    static RPCHook hook(Options options) {
        if (!options.has("access-key")) {
            return null;
        }
        try {
            Class<?> credentials = Class.forName("org.apache.rocketmq.acl.common.SessionCredentials");
            Object key = credentials.getConstructor(String.class, String.class)
                .newInstance(options.text("access-key"), options.text("secret-key"));
            return (RPCHook) Class.forName("org.apache.rocketmq.acl.common.AclClientRPCHook")
                .getConstructor(credentials).newInstance(key);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("this client cannot sign", e);
        }
    }

    /** Sets what every kind of client has in common; whatever is not given keeps the client's own default. */
    static void configure(Options options, ClientConfig config) {
        config.setNamesrvAddr(options.text("name-server"));
        if (options.has("poll-name-server-ms")) {
            config.setPollNameServerInterval(options.number("poll-name-server-ms", 0));
        }
        if (options.has("heartbeat-ms")) {
            config.setHeartbeatBrokerInterval(options.number("heartbeat-ms", 0));
        }
    }
}
