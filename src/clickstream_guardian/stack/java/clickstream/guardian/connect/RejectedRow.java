package clickstream.guardian.connect;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.header.Headers;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * A dead letter (the bytes as they came, and where and why as headers) as a row of {@code
 * raw.rejected}. Two hands write dead letters: a producer, with the headers of {@code
 * sources/kafka/deadletter.py}, and Connect itself, with its own {@code __connect.errors.*}.
 */
public final class RejectedRow implements Transformation<SinkRecord> {
  private static final String CONNECT = "__connect.errors.";
  private static final int RAW_LIMIT = 4096;

  @Override
  public SinkRecord apply(SinkRecord record) {
    Headers headers = record.headers();
    Map<String, Object> row =
        headers.lastWithName(CONNECT + "topic") == null ? produced(headers) : dropped(headers);
    byte[] raw = record.value() instanceof byte[] bytes ? bytes : new byte[0];
    row.putIfAbsent("source", record.topic());
    row.putIfAbsent("partition", record.kafkaPartition());
    row.putIfAbsent("offset", record.kafkaOffset());
    row.putIfAbsent("raw_bytes", (long) raw.length);
    row.put("raw", escaped(raw));
    row.put("received_at", Rows.utc(record.timestamp()));
    Rows.place(row, Rows.utc(record.timestamp()));
    return record.newRecord(
        record.topic(), record.kafkaPartition(), null, null, null, row, record.timestamp());
  }

  private static Map<String, Object> produced(Headers headers) {
    Map<String, Object> row = new HashMap<>();
    for (String name : new String[] {"source", "kind", "place", "reason", "detail"}) {
      String value = text(headers, name);
      if (value != null) {
        row.put(name, value);
      }
    }
    putNumber(row, "partition", text(headers, "partition"));
    putNumber(row, "offset", text(headers, "offset"));
    putNumber(row, "line_number", text(headers, "line_number"));
    putNumber(row, "raw_bytes", text(headers, "raw_bytes"));
    return row;
  }

  private static Map<String, Object> dropped(Headers headers) {
    Map<String, Object> row = new HashMap<>();
    String topic = text(headers, CONNECT + "topic");
    String message = String.valueOf(text(headers, CONNECT + "exception.message"));
    row.put("source", topic);
    row.put("place", topic);
    row.put("kind", topic.startsWith("purchases") ? "purchase" : "click");
    row.put("reason", Rejection.reasonOf(message, "bad_avro"));
    row.put("detail", message);
    putNumber(row, "partition", text(headers, CONNECT + "partition"));
    putNumber(row, "offset", text(headers, CONNECT + "offset"));
    return row;
  }

  private static void putNumber(Map<String, Object> row, String name, String digits) {
    if (digits != null && digits.matches("-?\\d{1,18}")) {
      long number = Long.parseLong(digits);
      row.put(name, name.equals("partition") ? (Object) (int) number : (Object) number);
    }
  }

  private static String text(Headers headers, String name) {
    Header header = headers.lastWithName(name);
    return header != null && header.value() instanceof byte[] bytes
        ? new String(bytes, StandardCharsets.UTF_8)
        : null;
  }

  /** The bytes as text, cut, with a backslash escape for each byte that is no UTF-8. */
  static String escaped(byte[] raw) {
    ByteBuffer in = ByteBuffer.wrap(raw, 0, Math.min(raw.length, RAW_LIMIT));
    CharBuffer out = CharBuffer.allocate(4 * RAW_LIMIT + 4);
    CharsetDecoder decoder =
        StandardCharsets.UTF_8
            .newDecoder()
            .onMalformedInput(CodingErrorAction.REPORT)
            .onUnmappableCharacter(CodingErrorAction.REPORT);
    while (true) {
      CoderResult result = decoder.decode(in, out, true);
      if (result.isUnderflow()) {
        break;
      }
      for (int i = 0; i < result.length(); i++) {
        out.put(String.format("\\x%02x", in.get() & 0xff));
      }
    }
    return out.flip().toString().replace("\0", "\\x00");
  }

  @Override
  public ConfigDef config() {
    return new ConfigDef();
  }

  @Override
  public void configure(Map<String, ?> settings) {}

  @Override
  public void close() {}
}
