package remora.client;

import java.nio.charset.StandardCharsets;

/**
 * Message bodies that can be checked on arrival: a name, then padding that follows from the length alone, so that a
 * body that was cut, mixed up or not decompressed is noticed.
 */
final class Bodies {
    private static final char END_OF_NAME = '|';

    private Bodies() {
    }

    /** A body of at least {@code size} bytes; just the name when it is that long already. */
    static byte[] encode(String name, int size) {
        if (size <= name.length()) {
            return name.getBytes(StandardCharsets.UTF_8);
        }
        StringBuilder body = new StringBuilder(size).append(name).append(END_OF_NAME);
        while (body.length() < size) {
            body.append(padding(body.length()));
        }
        return body.toString().getBytes(StandardCharsets.UTF_8);
    }

    static String name(byte[] body) {
        String text = new String(body, StandardCharsets.UTF_8);
        int end = text.indexOf(END_OF_NAME);
        return end < 0 ? text : text.substring(0, end);
    }

    static boolean intact(byte[] body) {
        for (int i = name(body).length() + 1; i < body.length; i++) {
            if (body[i] != padding(i)) {
                return false;
            }
        }
        return true;
    }

    private static char padding(int position) {
        return (char) ('a' + position % 23);
    }
}
