# wirebook in a container. Docker's own seccomp profile forbids io_uring, which the node needs (docs/operations.md, "Containers"):
#
#   docker build -t wirebook .
#   docker run --rm --security-opt seccomp=docker/seccomp-io_uring.json wirebook run --product BTC-USD --no-store

FROM debian:bookworm AS build
WORKDIR /src
COPY tools/setup tools/setup
RUN tools/setup run
COPY . .
RUN cmake --preset release -B build/image -DWIREBOOK_TESTS=OFF && ninja -C build/image wirebook && strip build/image/wirebook

# The libraries that the program was linked with, by the packages they came from.
RUN ldd build/image/wirebook | awk '$3 ~ "^/" {print $3}' | xargs -n 1 realpath | sed 's|^/usr||' | sort -u \
  | while read -r file; do dpkg-query -S "*$file" | head -n 1 | cut -d : -f 1; done | sort -u | tee build/packages

FROM debian:bookworm-slim
COPY --from=build /src/build/packages /tmp/packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends ca-certificates </tmp/packages \
  && rm -rf /var/lib/apt/lists/* /tmp/packages \
  && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin wirebook \
  && install -d -o wirebook -g wirebook /data /logs
COPY --from=build /src/build/image/wirebook /usr/local/bin/wirebook
COPY docker/entrypoint /usr/local/bin/entrypoint
USER wirebook
WORKDIR /data
ENV WIREBOOK_DATA=/data
VOLUME ["/data", "/logs"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["entrypoint"]
CMD ["run"]
