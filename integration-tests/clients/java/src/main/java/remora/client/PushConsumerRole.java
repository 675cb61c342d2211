package remora.client;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.impl.consumer.RebalanceImpl;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A push consumer; reports what it gets and which queues it holds. */
final class PushConsumerRole implements Role {
    private static final long WATCH_INTERVAL_MS = 50;

    private DefaultMQPushConsumer consumer;
    private String topic;
    private int failTimes;
    private int delayLevel;
    private int consumeMs;

    @Override
    public void start(Options options) throws Exception {
        topic = options.text("topic");
        failTimes = options.number("fail-times", 0);
        delayLevel = options.number("delay-level", 0);
        consumeMs = options.number("consume-ms", 0);
        consumer = new DefaultMQPushConsumer(
            options.text("group"), options.flag("first-pull") ? new FirstPull() : Settings.hook(options), new AllocateMessageQueueAveragely(), options.flag("trace"), null);
        Settings.configure(options, consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.valueOf("CONSUME_FROM_" + options.text("from", "FIRST_OFFSET")));
        if (options.flag("broadcasting")) {
            broadcast();
        }
        if (options.has("max-reconsume-times")) {
            consumer.setMaxReconsumeTimes(options.number("max-reconsume-times", 0));
        }
        if (options.has("pop-invisible-ms")) {
            pop(options.bigNumber("pop-invisible-ms", 0));
        }
        if (options.has("sql")) {
            consumer.subscribe(topic, MessageSelector.bySql(options.text("sql")));
        } else {
            consumer.subscribe(topic, options.text("tags", "*"));
        }
        if (options.flag("orderly")) {
            consumer.setSuspendCurrentQueueTimeMillis(options.number("suspend-ms", 1000));
            consumer.registerMessageListener((MessageListenerOrderly) this::consumeOrderly);
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) this::consumeConcurrently);
        }
        consumer.start();
        Thread watcher = new Thread(this::watchAssignment, "assignment-watcher");
        watcher.setDaemon(true);
        watcher.start();
    }

    @Override
    public Object command(String verb, Options options) {
        if (verb.equals("client-id")) {
            return consumer.buildMQClientId();
        }
        throw new IllegalArgumentException("no such command: " + verb);
    }

    /** Without the name of the enum, whose package is not the same in all versions. */
    private void broadcast() {
        for (var model : consumer.getMessageModel().getDeclaringClass().getEnumConstants()) {
            if (model.name().equals("BROADCASTING")) {
                consumer.setMessageModel(model);
            }
        }
    }

    /** Leaves it to the brokers who gets what. By reflection: clients before 5.0 cannot. */
    private void pop(long invisibleMs) throws ReflectiveOperationException {
        consumer.getClass().getMethod("setClientRebalance", boolean.class).invoke(consumer, false);
        consumer.getClass().getMethod("setPopInvisibleTime", long.class).invoke(consumer, invisibleMs);
    }

    private ConsumeConcurrentlyStatus consumeConcurrently(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
        if (take(messages, context.getMessageQueue())) {
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }
        context.setDelayLevelWhenNextConsume(delayLevel);
        return ConsumeConcurrentlyStatus.RECONSUME_LATER;
    }

    private ConsumeOrderlyStatus consumeOrderly(List<MessageExt> messages, ConsumeOrderlyContext context) {
        return take(messages, context.getMessageQueue())
            ? ConsumeOrderlyStatus.SUCCESS
            : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
    }

    /** Reports the messages; false while they have not failed as often as they are to. */
    private boolean take(List<MessageExt> messages, MessageQueue queue) {
        boolean good = true;
        for (MessageExt message : messages) {
            Messages.received(message, queue.getBrokerName());
            good &= message.getReconsumeTimes() >= failTimes;
        }
        if (consumeMs > 0) {
            try {
                Thread.sleep(consumeMs);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        return good;
    }

    /** Clients from 5.0 on have a table of its own for what they get by POP. */
    private Set<MessageQueue> held() {
        RebalanceImpl rebalance = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl();
        Set<MessageQueue> queues = new HashSet<>(rebalance.getProcessQueueTable().keySet());
        try {
            Map<?, ?> popped = (Map<?, ?>) RebalanceImpl.class.getMethod("getPopProcessQueueTable").invoke(rebalance);
            popped.keySet().forEach(queue -> queues.add((MessageQueue) queue));
        } catch (ReflectiveOperationException e) {
            // An older client.
        }
        return queues;
    }

    /** The client has no call-back for this; the table of what it really holds (and, orderly, has locked) is looked at. */
    private void watchAssignment() {
        List<String> last = List.of();
        while (!Thread.currentThread().isInterrupted()) {
            TreeSet<String> queues = new TreeSet<>();
            for (MessageQueue queue : held()) {
                if (queue.getTopic().equals(topic)) {
                    queues.add(Messages.queue(queue));
                }
            }
            List<String> now = List.copyOf(queues);
            if (!now.equals(last)) {
                Events.emit("assignment", "queues", now);
                last = now;
            }
            try {
                Thread.sleep(WATCH_INTERVAL_MS);
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    @Override
    public void stop() {
        consumer.shutdown();
    }
}
