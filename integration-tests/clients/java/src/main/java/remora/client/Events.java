package remora.client;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.Map;

/** Writes what happened, one JSON object a line. */
final class Events {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private Events() {
    }

    /**
     * Reports one event.
     *
     * @param event what happened
     * @param fields names and values in turn; values are texts, numbers, booleans, collections, maps or null
     */
    static void emit(String event, Object... fields) {
        StringBuilder line = new StringBuilder("{\"event\":");
        write(line, event);
        line.append(",\"at\":").append(System.currentTimeMillis());
        for (int i = 0; i < fields.length; i += 2) {
            line.append(',');
            write(line, fields[i]);
            line.append(':');
            write(line, fields[i + 1]);
        }
        line.append("}\n");
        synchronized (OUT) {
            OUT.append(line);
            OUT.flush();
        }
    }

    /** With what caused it: a client that has tried several times says what went wrong there only. */
    static String describe(Throwable e) {
        String described = e.getClass().getSimpleName() + ": " + e.getMessage();
        return e.getCause() == null || e.getCause() == e ? described : described + "; " + describe(e.getCause());
    }

    private static void write(StringBuilder out, Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            out.append(value);
        } else if (value instanceof Map) {
            char separator = '{';
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(separator);
                write(out, String.valueOf(entry.getKey()));
                out.append(':');
                write(out, entry.getValue());
                separator = ',';
            }
            out.append(separator == '{' ? "{}" : "}");
        } else if (value instanceof Collection) {
            char separator = '[';
            for (Object item : (Collection<?>) value) {
                out.append(separator);
                write(out, item);
                separator = ',';
            }
            out.append(separator == '[' ? "[]" : "]");
        } else {
            writeText(out, value.toString());
        }
    }

    private static void writeText(StringBuilder out, String text) {
        out.append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }
}
