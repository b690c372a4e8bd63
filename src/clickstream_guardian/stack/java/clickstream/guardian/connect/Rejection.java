package clickstream.guardian.connect;

import org.apache.kafka.connect.errors.DataException;

/** A message that cannot become an event: Connect dead-letters it with this reason. */
public final class Rejection extends DataException {
  private static final long serialVersionUID = 1L;
  private static final String SEPARATOR = ": ";

  public Rejection(String reason, String detail) {
    super(reason + SEPARATOR + detail);
  }

  /** The reason code at the beginning of a dead letter's message, or the given one. */
  static String reasonOf(String message, String otherwise) {
    int end = message.indexOf(SEPARATOR);
    return end > 0 && message.substring(0, end).matches("[a-z0-9_]+")
        ? message.substring(0, end)
        : otherwise;
  }
}
