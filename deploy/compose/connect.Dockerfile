# Kafka Connect with the Iceberg sink and our own converter and transforms, from the same pom and
# sources as the native stack.
FROM maven:3.9-eclipse-temurin-17 AS plugins
WORKDIR /build
COPY src/clickstream_guardian/stack/maven/ maven/
COPY src/clickstream_guardian/stack/java/ java/
RUN for set in kafka iceberg-sink; do \
      mvn -B -q -ntp -f maven/pom.xml -P$set dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory=/build/sets/$set; \
    done \
 && (cd sets && grep -E '  (kafka|iceberg-sink)/' ../maven/jars.lock | sha256sum -c --quiet -) \
 && javac --release 17 -proc:none -d classes -cp 'sets/kafka/*:sets/iceberg-sink/*' \
      $(find java -name '*.java') \
 && cp -r java/META-INF classes/ \
 && jar --create --file sets/iceberg-sink/guardian-connect.jar -C classes .

FROM apache/kafka:4.2.0
COPY --from=plugins /build/sets/iceberg-sink/ /opt/plugins/iceberg/
COPY deploy/compose/worker.properties /etc/kafka/worker.properties
CMD ["/opt/kafka/bin/connect-distributed.sh", "/etc/kafka/worker.properties"]
