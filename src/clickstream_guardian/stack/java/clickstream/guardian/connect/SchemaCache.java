package clickstream.guardian.connect;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.kafka.connect.errors.RetriableException;

/**
 * Writer schemas by their registry id.
 *
 * <p>A registry that does not answer is a reason to wait, never to reject: only its own "there is
 * no such id" rejects a message.
 */
final class SchemaCache {
  private static final Duration PATIENCE = Duration.ofSeconds(5);
  private static final long FORGET_UNKNOWN_MILLIS = 10_000;

  private final ObjectMapper json = new ObjectMapper();
  private final HttpClient client = HttpClient.newBuilder().connectTimeout(PATIENCE).build();
  private final Map<Integer, Schema> known = new HashMap<>();
  private final Map<Integer, Long> unknownUntil = new HashMap<>();
  private final String registryUrl;

  SchemaCache(String registryUrl) {
    this.registryUrl = registryUrl.replaceAll("/+$", "");
  }

  Schema byId(int id) {
    Schema schema = known.get(id);
    if (schema == null) {
      schema = fetch(id);
      known.put(id, schema);
    }
    return schema;
  }

  private Schema fetch(int id) {
    if (unknownUntil.getOrDefault(id, 0L) > System.currentTimeMillis()) {
      throw unknown(id);
    }
    HttpResponse<String> answer = ask(id);
    if (answer.statusCode() == 404) {
      unknownUntil.put(id, System.currentTimeMillis() + FORGET_UNKNOWN_MILLIS);
      throw unknown(id);
    }
    if (answer.statusCode() != 200) {
      throw new RetriableException(
          "The registry at " + registryUrl + " answered " + answer.statusCode());
    }
    try {
      String text = json.readTree(answer.body()).get("schema").asText();
      return new Schema.Parser().parse(text);
    } catch (IOException | RuntimeException error) {
      throw new RetriableException("The registry at " + registryUrl + " sent no schema", error);
    }
  }

  private HttpResponse<String> ask(int id) {
    URI uri = URI.create(registryUrl + "/schemas/ids/" + id);
    try {
      return client.send(
          HttpRequest.newBuilder(uri).timeout(PATIENCE).build(),
          HttpResponse.BodyHandlers.ofString());
    } catch (IOException error) {
      throw new RetriableException("The registry at " + registryUrl + " does not answer", error);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      throw new RetriableException("Stopped while asking the registry", error);
    }
  }

  private static Rejection unknown(int id) {
    return new Rejection("unknown_schema", "schema id " + id + " is not in the registry");
  }
}
