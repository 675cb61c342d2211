package remora.client;

import java.util.ArrayList;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** Sends requests, which are messages whose consumer answers; clients have that from 4.6 on. */
final class RequesterRole implements Role {
    private static final MessageQueueSelector BY_NUMBER =
        (queues, message, number) -> queues.get((Integer) number % queues.size());

    private DefaultMQProducer producer;

    @Override
    public void start(Options options) throws MQClientException {
        producer = new DefaultMQProducer(options.text("group"), Settings.hook(options));
        Settings.configure(options, producer);
        producer.start();
    }

    @Override
    public Object command(String verb, Options options) throws Exception {
        switch (verb) {
            case "request":
                return request(options);
            case "client-id":
                return producer.buildMQClientId();
            default:
                throw new IllegalArgumentException("no such command: " + verb);
        }
    }

    /** One request; returns the name in the body of its reply. */
    private Object request(Options options) throws Exception {
        Message message = new Message(options.text("topic"), Bodies.encode(options.text("name"), 0));
        long timeout = options.bigNumber("timeout-ms", 3000);
        int number = options.number("number", 0);
        Message reply;
        switch (options.text("mode", "sync")) {
            case "sync":
                reply = producer.request(message, timeout);
                break;
            case "async": {
                Reply pending = new Reply();
                producer.request(message, pending, timeout);
                reply = pending.get();
                break;
            }
            case "selector":
                reply = producer.request(message, BY_NUMBER, number, timeout);
                break;
            case "selector-async": {
                Reply pending = new Reply();
                producer.request(message, BY_NUMBER, number, pending, timeout);
                reply = pending.get();
                break;
            }
            case "queue":
                reply = producer.request(message, queue(options.text("topic"), number), timeout);
                break;
            default:
                throw new IllegalArgumentException("no such mode: " + options.text("mode"));
        }
        return Map.of("reply", Bodies.name(reply.getBody()));
    }

    private MessageQueue queue(String topic, int number) throws MQClientException {
        ArrayList<MessageQueue> queues = new ArrayList<>(producer.fetchPublishMessageQueues(topic));
        return queues.get(number % queues.size());
    }

    @Override
    public void stop() {
        producer.shutdown();
    }

    /** A reply that comes by a call-back; some versions call it once before, without a reply, when the request is sent. */
    private static final class Reply extends CompletableFuture<Message> implements RequestCallback {
        @Override
        public void onSuccess(Message message) {
            if (message != null) {
                complete(message);
            }
        }

        @Override
        public void onException(Throwable e) {
            completeExceptionally(e);
        }
    }
}
