package remora.client;

import java.time.Duration;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientConfigurationBuilder;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.StaticSessionCredentialsProvider;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;

/** Options that every role has. */
final class Settings {
    /** On a busy machine a client's default of three seconds is too short for the first request. */
    private static final int REQUEST_TIMEOUT_MS = 10_000;

    private Settings() {
    }

    static ClientServiceProvider provider() {
        return ClientServiceProvider.loadService();
    }

    static ClientConfiguration configuration(Options options) throws ReflectiveOperationException {
        ClientConfigurationBuilder builder = ClientConfiguration.newBuilder()
            .setEndpoints(options.text("endpoints"))
            .setRequestTimeout(Duration.ofMillis(options.number("request-timeout-ms", REQUEST_TIMEOUT_MS)));
        if (options.has("access-key")) {
            builder.setCredentialProvider(
                new StaticSessionCredentialsProvider(options.text("access-key"), options.text("secret-key")));
        }
        try {
            call(builder, "enableSsl", boolean.class, options.flag("tls"));
        } catch (NoSuchMethodException e) {
            // An older client, which always speaks TLS.
        }
        if (options.has("namespace")) {
            call(builder, "setNamespace", String.class, options.text("namespace"));
        }
        return builder.build();
    }

    static FilterExpression filter(Options options) {
        return options.has("sql")
            ? new FilterExpression(options.text("sql"), FilterExpressionType.SQL92)
            : new FilterExpression(options.text("tags", "*"), FilterExpressionType.TAG);
    }

    /** Calls what only newer clients have, so that the same source compiles with older ones. */
    static Object call(Object target, String method, Class<?> type, Object value) throws ReflectiveOperationException {
        return publicMethod(target, method, type).invoke(target, value);
    }

    /** Classes of the implementation are not public, their interfaces are. */
    static java.lang.reflect.Method publicMethod(Object target, String method, Class<?>... types)
        throws NoSuchMethodException {
        for (Class<?> type : target.getClass().getInterfaces()) {
            try {
                return type.getMethod(method, types);
            } catch (NoSuchMethodException e) {
                // Another interface has it.
            }
        }
        return target.getClass().getMethod(method, types);
    }
}
