package clickstream.guardian.connect;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Map;

/** What raw rows and rejected rows have in common. */
final class Rows {
  private static final DateTimeFormatter DAY =
      DateTimeFormatter.ofPattern("yyyy-MM-dd").withZone(ZoneOffset.UTC);

  private Rows() {}

  static OffsetDateTime utc(long millis) {
    return Instant.ofEpochMilli(millis).atOffset(ZoneOffset.UTC);
  }

  /** Set the columns a row is partitioned by. */
  static void place(Map<String, Object> row, OffsetDateTime at) {
    row.put("dt", DAY.format(at));
    int hour = at.getHour();
    row.put("hour", hour < 10 ? "0" + hour : String.valueOf(hour));
  }
}
