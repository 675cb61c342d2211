package remora.client;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Starts the role that the first argument names and hands it the commands from standard input. */
public final class Main {
    /**
     * By name, so that a build against an older client can leave out the classes that it cannot compile, and so that the
     * project of the gRPC client can have roles of its own.
     */
    private static final Map<String, String> ROLES = Map.of(
        "admin", "remora.client.AdminRole",
        "producer", "remora.client.ProducerRole",
        "requester", "remora.client.RequesterRole",
        "replier", "remora.client.ReplierRole",
        "push-consumer", "remora.client.PushConsumerRole",
        "simple-consumer", "remora.client.SimpleConsumerRole",
        "lite-push-consumer", "remora.client.LitePushConsumerRole",
        "lite-pull-consumer", "remora.client.LitePullConsumerRole",
        "popper", "remora.client.PopperRole");

    private Main() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 0 || !ROLES.containsKey(args[0])) {
            System.err.println("the first argument names the role: " + ROLES.keySet());
            System.exit(64);
        }
        Options options = Options.parse(args, 1);
        Role role = (Role) Class.forName(ROLES.get(args[0])).getDeclaredConstructor().newInstance();
        try {
            role.start(options);
        } catch (Exception e) {
            Events.emit("start-failed", "error", Events.describe(e));
            System.exit(1);
        }
        Events.emit("ready");
        serve(role);
        role.stop();
        Events.emit("stopped");
        // Some client versions leave non-daemon threads behind.
        System.exit(0);
    }

    /** Runs commands until "stop" or until the test ends (end of input). */
    private static void serve(Role role) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        long number = 0;
        for (String line = input.readLine(); line != null && !line.equals("stop"); line = input.readLine()) {
            number++;
            String[] words = line.split("\t");
            try {
                Object result = role.command(words[0], Options.parse(words, 1));
                Events.emit("done", "command", number, "result", result);
            } catch (Exception e) {
                Events.emit("failed", "command", number, "error", Events.describe(e));
            }
        }
    }
}
