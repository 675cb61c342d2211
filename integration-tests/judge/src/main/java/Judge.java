import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads frames with the decoders of several RocketMQ versions, each in a class loader of its own. Its arguments are their
 * class paths.
 *
 * <p>Standard input is a row of batches: a 32 bit number of frames, then as many frames, each with the number of versions that
 * shall read it in front, the first so many, and its own length. A frame lacks its length field. For each frame of a batch, and
 * each of the versions, standard output gets a byte that tells whether it could be read; if so, code,
 * flag, opaque, version and language (−1 when there is none) as 32 bit numbers, the remark, the number of ext fields, their
 * names and values, and the body. Text goes as UTF-16, for it may be half a surrogate pair. Lengths are 32 bit, and −1 stands
 * for what is null.
 */
public final class Judge {
    private Judge() {
    }

    public static void main(String[] arguments) throws Exception {
        List<Reader> readers = new ArrayList<>();
        for (String classPath : arguments) {
            readers.add(new Reader(classPath));
        }
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        // A decoder that says something must not say it here.
        System.setOut(System.err);
        while (true) {
            int frames;
            try {
                frames = in.readInt();
            } catch (EOFException end) {
                return;
            }
            for (int nth = 0; nth < frames; nth++) {
                int versions = in.readInt();
                byte[] frame = new byte[in.readInt()];
                in.readFully(frame);
                for (Reader reader : readers.subList(0, versions)) {
                    reader.read(frame, out);
                }
            }
            out.flush();
        }
    }

    /** The decoder of one version. */
    private static final class Reader {
        private final Method decode;
        private final Method code;
        private final Method flag;
        private final Method opaque;
        private final Method version;
        private final Method language;
        private final Method remark;
        private final Method extFields;
        private final Method body;
        private final ClassLoader loader;
        private final List<Object[]> names = new ArrayList<>();

        Reader(String classPath) throws Exception {
            String[] files = classPath.split(File.pathSeparator);
            URL[] urls = new URL[files.length];
            for (int nth = 0; nth < files.length; nth++) {
                urls[nth] = new File(files[nth]).toURI().toURL();
            }
            loader = new URLClassLoader(urls, ClassLoader.getPlatformClassLoader());
            Class<?> command = loader.loadClass("org.apache.rocketmq.remoting.protocol.RemotingCommand");
            decode = command.getMethod("decode", ByteBuffer.class);
            code = command.getMethod("getCode");
            flag = command.getMethod("getFlag");
            opaque = command.getMethod("getOpaque");
            version = command.getMethod("getVersion");
            language = command.getMethod("getLanguage");
            remark = command.getMethod("getRemark");
            extFields = command.getMethod("getExtFields");
            body = command.getMethod("getBody");
            for (String cache : new String[] {"NAME_CACHE", "NAME_CACHE2"}) {
                try {
                    Field field = loader.loadClass("com.alibaba.fastjson2.JSONFactory").getDeclaredField(cache);
                    field.setAccessible(true);
                    names.add((Object[]) field.get(null));
                } catch (ClassNotFoundException isOlder) {
                    // That version has no fastjson2.
                }
            }
        }

        void read(byte[] frame, DataOutputStream out) throws IOException, IllegalAccessException {
            Thread.currentThread().setContextClassLoader(loader);
            // fastjson2 keeps names of fields for all headers. Once it has read "topi" and a NUL, it takes each "topi" for
            // that, so that an answer would depend on the frames before.
            for (Object[] cache : names) {
                Arrays.fill(cache, null);
            }
            try {
                Object command;
                try {
                    command = decode.invoke(null, ByteBuffer.wrap(frame));
                } catch (InvocationTargetException failed) {
                    if (System.getenv("JUDGE_REASONS") != null) {
                        System.err.println(failed.getCause());
                    }
                    out.writeByte(0);
                    return;
                }
                out.writeByte(1);
                out.writeInt((Integer) code.invoke(command));
                out.writeInt((Integer) flag.invoke(command));
                out.writeInt((Integer) opaque.invoke(command));
                out.writeInt((Integer) version.invoke(command));
                Enum<?> spoken = (Enum<?>) language.invoke(command);
                out.writeInt(spoken == null ? -1 : spoken.ordinal());
                writeText((String) remark.invoke(command), out);
                writeFields((HashMap<?, ?>) extFields.invoke(command), out);
                byte[] bytes = (byte[]) body.invoke(command);
                out.writeInt(bytes == null ? -1 : bytes.length);
                if (bytes != null) {
                    out.write(bytes);
                }
            } catch (InvocationTargetException impossible) {
                throw new IllegalStateException("a getter failed", impossible);
            }
        }
    }

    private static void writeFields(Map<?, ?> fields, DataOutputStream out) throws IOException {
        out.writeInt(fields == null ? -1 : fields.size());
        if (fields == null) {
            return;
        }
        for (Map.Entry<?, ?> field : fields.entrySet()) {
            writeText((String) field.getKey(), out);
            // A reader that puts something else than text into the map is worth an end with a stack trace.
            writeText((String) field.getValue(), out);
        }
    }

    private static void writeText(String text, DataOutputStream out) throws IOException {
        if (text == null) {
            out.writeInt(-1);
            return;
        }
        byte[] bytes = text.getBytes(StandardCharsets.UTF_16BE);
        // The encoder writes half a pair as U+FFFD.
        if (hasHalfPair(text)) {
            for (int nth = 0; nth < text.length(); nth++) {
                bytes[2 * nth] = (byte) (text.charAt(nth) >> 8);
                bytes[2 * nth + 1] = (byte) text.charAt(nth);
            }
        }
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private static boolean hasHalfPair(String text) {
        for (int nth = 0; nth < text.length(); nth++) {
            if (Character.isSurrogate(text.charAt(nth))) {
                return true;
            }
        }
        return false;
    }
}
