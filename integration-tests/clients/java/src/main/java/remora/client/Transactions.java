package remora.client;

import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Ends transactions as commanded, and reports every check of a broker. */
final class Transactions implements TransactionListener {
    private final String atCheck;

    Transactions(String atCheck) {
        this.atCheck = atCheck;
    }

    /** The argument is the verdict that the producer has from the start. */
    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        return state((String) argument);
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        Events.emit("checked", "body", Bodies.name(message.getBody()), "verdict", atCheck);
        return state(atCheck);
    }

    private static LocalTransactionState state(String verdict) {
        switch (verdict) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            case "unknown":
                return LocalTransactionState.UNKNOW;
            default:
                throw new IllegalArgumentException("no such verdict: " + verdict);
        }
    }
}
