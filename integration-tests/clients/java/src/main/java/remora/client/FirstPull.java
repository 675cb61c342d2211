package remora.client;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;

/** Reports how long after its first heartbeat a consumer pulls for the first time. */
final class FirstPull implements RPCHook {
    private static final int PULL_MESSAGE = 11;
    private static final int HEART_BEAT = 34;

    private final AtomicLong heartbeat = new AtomicLong();
    private final AtomicBoolean reported = new AtomicBoolean();

    @Override
    public void doBeforeRequest(String address, RemotingCommand request) {
        if (request.getCode() == HEART_BEAT) {
            heartbeat.compareAndSet(0, System.nanoTime());
        } else if (request.getCode() == PULL_MESSAGE && reported.compareAndSet(false, true)) {
            Events.emit("first-pull", "micros", (System.nanoTime() - heartbeat.get()) / 1000);
        }
    }

    @Override
    public void doAfterResponse(String address, RemotingCommand request, RemotingCommand response) {
    }
}
