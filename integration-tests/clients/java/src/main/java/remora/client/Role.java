package remora.client;

/** What a client process is: one producer, one consumer. */
interface Role {
    /** Configures and starts the client. */
    void start(Options options) throws Exception;

    /**
     * Carries out one command.
     *
     * @return what the command found out, in terms of {@link Events#emit}, or null
     */
    Object command(String verb, Options options) throws Exception;

    /** Shuts the client down in the orderly way. */
    void stop() throws Exception;
}
