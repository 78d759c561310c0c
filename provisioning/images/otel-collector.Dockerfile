# The Collector of provisioning/otel-collector/builder.yaml, as `make collector` builds it, on an image
# that has a wget for its healthcheck. Build it from the root of the repository.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY provisioning/otel-collector provisioning/otel-collector
RUN provisioning/otel-collector/build

FROM alpine:3.22
RUN adduser -D -H -u 10001 celerytrail && install -d -o 10001 -g 10001 -m 0700 /var/lib/otelcol
COPY --from=build /src/build/otelcol/otelcol-celerytrail /usr/local/bin/otelcol-celerytrail
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/otelcol-celerytrail"]
