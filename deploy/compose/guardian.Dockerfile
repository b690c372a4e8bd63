# The command `guardian` with everything it can use, from the locked dependencies.
FROM python:3.11-slim-bookworm
WORKDIR /opt/guardian
COPY locks/ locks/
RUN pip install --no-cache-dir --require-hashes -r locks/dev.txt
COPY pyproject.toml LICENSE README.md ./
COPY src/ src/
COPY deploy/connect/ deploy/connect/
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
 && useradd --create-home guardian
USER guardian
CMD ["guardian", "--help"]
