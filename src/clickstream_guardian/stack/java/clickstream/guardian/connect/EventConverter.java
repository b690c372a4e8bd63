package clickstream.guardian.connect;

import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.avro.LogicalType;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.storage.Converter;

/**
 * Avro messages in the registry's framing (a zero byte, a four-byte schema id, the record) as maps
 * of field name to value, read with the schema they were written with. A field that the lake does
 * not know yet becomes a column of it, so only values of one plain type are passed on: the sink
 * infers the column from the first value, and the next must fit.
 *
 * <p>Why not a stock converter: those report an absent registry and a broken message alike, so that
 * good records are dead-lettered while the registry restarts, and they cut microseconds.
 */
public final class EventConverter implements Converter {
  private static final int HEADER_BYTES = 5;
  private static final char REPLACEMENT = '\uFFFD';
  private static final Set<Schema.Type> NESTED =
      Set.of(Schema.Type.RECORD, Schema.Type.ARRAY, Schema.Type.MAP);

  private final Map<Schema, Reader> readers = new HashMap<>();
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
      Map<String, Object> row = readers.computeIfAbsent(schema, Reader::new).read(decoder);
      if (!decoder.isEnd()) {
        throw new Rejection("bad_avro", "there are bytes behind the record");
      }
      return new SchemaAndValue(null, row);
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

  /** Reads what was written with one schema. */
  private static final class Reader {
    private final GenericDatumReader<GenericRecord> records;
    private final List<Schema.Field> fields;
    private final List<Schema> types;

    Reader(Schema schema) {
      records = new GenericDatumReader<>(schema);
      fields = schema.getFields().stream().filter(field -> onlyType(field) != null).toList();
      types = fields.stream().map(Reader::onlyType).toList();
    }

    Map<String, Object> read(BinaryDecoder decoder) throws IOException {
      GenericRecord record = records.read(null, decoder);
      Map<String, Object> row = new HashMap<>();
      for (int i = 0; i < fields.size(); i++) {
        Object value = record.get(fields.get(i).pos());
        if (value != null) {
          row.put(fields.get(i).name(), asValue(types.get(i), value));
        }
      }
      return row;
    }

    /** The type of a field's values; null if they are nested or of several types. */
    private static Schema onlyType(Schema.Field field) {
      Schema declared = field.schema();
      List<Schema> types = declared.isUnion() ? declared.getTypes() : List.of(declared);
      List<Schema> found =
          types.stream().filter(type -> type.getType() != Schema.Type.NULL).toList();
      return found.size() == 1 && !NESTED.contains(found.get(0).getType()) ? found.get(0) : null;
    }
  }

  private static Object asValue(Schema schema, Object value) {
    LogicalType logical = schema.getLogicalType();
    if (logical instanceof LogicalTypes.TimestampMicros) {
      return instant((Long) value);
    }
    if (logical instanceof LogicalTypes.Decimal decimal && value instanceof ByteBuffer buffer) {
      return new DeclaredDecimal(bytes(buffer), decimal);
    }
    if (value instanceof GenericFixed fixed) {
      return fixed.bytes();
    }
    if (value instanceof ByteBuffer buffer) {
      return bytes(buffer);
    }
    return value instanceof Number || value instanceof Boolean ? value : text(value);
  }

  /** A string; where its bytes are no text Avro puts a replacement in their place. */
  private static String text(Object value) {
    String text = value.toString();
    if (value instanceof Utf8 utf8 && text.indexOf(REPLACEMENT) >= 0) {
      byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
      if (!Arrays.equals(encoded, 0, encoded.length, utf8.getBytes(), 0, utf8.getByteLength())) {
        throw new Rejection("bad_avro", "a string of it is not UTF-8");
      }
    }
    return text;
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

  /** A decimal that tells the precision of its field, not that of its digits, to the sink. */
  private static final class DeclaredDecimal extends BigDecimal {
    private static final long serialVersionUID = 1L;
    private final int precision;

    DeclaredDecimal(byte[] unscaled, LogicalTypes.Decimal declared) {
      super(new BigInteger(unscaled), declared.getScale());
      precision = declared.getPrecision();
    }

    @Override
    public int precision() {
      return precision;
    }
  }
}
