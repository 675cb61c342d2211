package remora.client;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
}
