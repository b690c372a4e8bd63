package clickstream.guardian.connect;

import java.math.BigDecimal;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * An event of {@link EventConverter} as a row of the lake: it gains where and when it was received
 * and the day and hour of its event time. What is no event by the rules of the event table is
 * rejected, with the same reason codes as a line of a file.
 */
public final class RawRow implements Transformation<SinkRecord> {
  private static final OffsetDateTime EARLIEST =
      OffsetDateTime.of(2000, 1, 1, 0, 0, 0, 0, ZoneOffset.UTC);
  private static final long FUTURE_TOLERANCE_SECONDS = 60;
  private static final BigDecimal PRICE_LIMIT = BigDecimal.TEN.pow(10); // decimal(12, 2)

  @Override
  public SinkRecord apply(SinkRecord record) {
    @SuppressWarnings("unchecked")
    Map<String, Object> row = new HashMap<>((Map<String, Object>) record.value());
    OffsetDateTime receivedAt = Rows.utc(record.timestamp());
    check(row, receivedAt);
    row.put("source", record.topic());
    row.put("partition", record.kafkaPartition());
    row.put("offset", record.kafkaOffset());
    row.put("received_at", receivedAt);
    Rows.place(row, (OffsetDateTime) row.get("occurred_at"));
    return record.newRecord(
        record.topic(), record.kafkaPartition(), null, null, null, row, record.timestamp());
  }

  private static void check(Map<String, Object> row, OffsetDateTime receivedAt) {
    if (!(row.get("event_id") instanceof byte[] id) || id.length != 16) {
      throw new Rejection("empty_event_id", "the message has no event id of 16 bytes");
    }
    if (!(row.get("session_id") instanceof String session) || session.isEmpty()) {
      throw new Rejection("empty_session", "the session is empty");
    }
    if (!(row.get("item_id") instanceof String item) || item.isEmpty()) {
      throw new Rejection("empty_item", "the item is empty");
    }
    if (!(row.get("occurred_at") instanceof OffsetDateTime at)) {
      throw new Rejection("bad_timestamp", "the message has no event time");
    }
    if (at.isBefore(EARLIEST) || at.isAfter(receivedAt.plusSeconds(FUTURE_TOLERANCE_SECONDS))) {
      throw new Rejection(
          "time_out_of_range",
          "the time is before 2000 or over 60 s after it was received: " + at);
    }
    if (row.get("price") instanceof BigDecimal price && isTooLarge(price)) {
      throw new Rejection("bad_price", "the price is larger than the lake can hold: " + price);
    }
  }

  /** Compared digit by digit: the number itself tells the precision of its field, not its own. */
  private static boolean isTooLarge(BigDecimal price) {
    return new BigDecimal(price.unscaledValue().abs(), price.scale()).compareTo(PRICE_LIMIT) >= 0;
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
