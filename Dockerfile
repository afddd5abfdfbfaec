# wirebook in a container. Docker's own seccomp profile forbids io_uring, which the node needs (docs/operations.md, "Containers"):
#
#   docker build -t wirebook .
#   docker run --rm --security-opt seccomp=docker/seccomp-io_uring.json wirebook run --product BTC-USD --no-store

FROM debian:bookworm AS build
WORKDIR /src
COPY tools/setup tools/setup
RUN tools/setup package
COPY . .
RUN tools/package

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="wirebook" org.opencontainers.image.description="Low-latency market-data ingest node" \
  org.opencontainers.image.licenses="GPL-2.0-or-later"
COPY --from=build /src/build/package/packages/wirebook_*.deb /tmp/
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends /tmp/wirebook_*.deb \
  && rm -rf /var/lib/apt/lists/* /tmp/wirebook_*.deb \
  && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin wirebook \
  && install -d -o wirebook -g wirebook /data /logs
COPY docker/entrypoint /usr/local/bin/entrypoint
USER 10001:10001
WORKDIR /data
ENV WIREBOOK_DATA=/data
VOLUME ["/data", "/logs"]
# Of a node that listens (WIREBOOK_LISTEN); of one that does not, nothing is known.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD [ -z "$WIREBOOK_LISTEN" ] || wirebook health
STOPSIGNAL SIGTERM
ENTRYPOINT ["entrypoint"]
CMD ["run"]
