package clickstream.guardian.connect;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.LogicalType;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.storage.Converter;

/**
 * Avro messages in the registry's framing (a zero byte, a four-byte schema id, the record) as maps
 * of field name to value, read with the schema they were written with.
 *
 * <p>Why not a stock converter: those report an absent registry and a broken message alike, so that
 * good records are dead-lettered while the registry restarts, and they cut microseconds.
 */
public final class EventConverter implements Converter {
  private static final int HEADER_BYTES = 5;

  private final Map<Schema, GenericDatumReader<GenericRecord>> readers = new HashMap<>();
  private SchemaCache schemas;
  private BinaryDecoder decoder;

  @Override
  public void configure(Map<String, ?> settings, boolean isKey) {
    schemas = new SchemaCache(String.valueOf(settings.get("registry.url")));
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] message) {
    if (message == null || message.length < HEADER_BYTES || message[0] != 0) {
      throw new Rejection("bad_avro", "the message does not begin with a schema id");
    }
    Schema schema = schemas.byId(ByteBuffer.wrap(message, 1, 4).getInt());
    if (schema.getType() != Schema.Type.RECORD) {
      throw new Rejection("bad_avro", "its schema is not a record");
    }
    try {
      decoder =
          DecoderFactory.get()
              .binaryDecoder(message, HEADER_BYTES, message.length - HEADER_BYTES, decoder);
      GenericRecord record =
          readers.computeIfAbsent(schema, GenericDatumReader::new).read(null, decoder);
      if (!decoder.isEnd()) {
        throw new Rejection("bad_avro", "there are bytes behind the record");
      }
      return new SchemaAndValue(null, asMap(record));
    } catch (Rejection rejection) {
      throw rejection;
    } catch (Exception error) {
      throw new Rejection("bad_avro", "the record cannot be read: " + error);
    }
  }

  @Override
  public byte[] fromConnectData(
      String topic, org.apache.kafka.connect.data.Schema schema, Object value) {
    throw new UnsupportedOperationException("EventConverter only reads");
  }

  private static Map<String, Object> asMap(GenericRecord record) {
    Map<String, Object> row = new HashMap<>();
    for (Schema.Field field : record.getSchema().getFields()) {
      Object value = record.get(field.pos());
      if (value != null) {
        row.put(field.name(), asValue(field.schema(), value));
      }
    }
    return row;
  }

  private static Object asValue(Schema declared, Object value) {
    Schema schema = declared.isUnion() ? notNull(declared) : declared;
    LogicalType logical = schema.getLogicalType();
    if (logical instanceof LogicalTypes.TimestampMicros) {
      return instant((Long) value);
    }
    if (logical instanceof LogicalTypes.Decimal decimal) {
      return new BigDecimal(new BigInteger(bytes((ByteBuffer) value)), decimal.getScale());
    }
    if (value instanceof GenericFixed fixed) {
      return fixed.bytes();
    }
    if (value instanceof ByteBuffer buffer) {
      return bytes(buffer);
    }
    return value instanceof CharSequence ? value.toString() : value;
  }

  private static Schema notNull(Schema union) {
    return union.getTypes().stream()
        .filter(type -> type.getType() != Schema.Type.NULL)
        .findFirst()
        .orElse(union);
  }

  private static OffsetDateTime instant(long micros) {
    return Instant.ofEpochSecond(
            Math.floorDiv(micros, 1_000_000L), Math.floorMod(micros, 1_000_000L) * 1_000L)
        .atOffset(ZoneOffset.UTC);
  }

  private static byte[] bytes(ByteBuffer buffer) {
    byte[] copy = new byte[buffer.remaining()];
    buffer.duplicate().get(copy);
    return copy;
  }
}
