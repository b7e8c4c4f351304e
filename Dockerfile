# The server alone, as an ordinary user, with its data in /data:
#
#   docker build -t wardstead .
#   docker run -p 127.0.0.1:8008:8008 -v wardstead:/data wardstead
FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
RUN .ci/deps \
    && .ci/deps exec cargo build --release --locked -p wardstead \
    && cp "$(.ci/deps env | sed -n 's/^CARGO_TARGET_DIR=//p')/release/wardstead" /wardstead

FROM debian:bookworm-slim
RUN useradd --system --uid 990 --home-dir /data --create-home wardstead
COPY --from=build /wardstead /usr/local/bin/wardstead
USER wardstead
VOLUME /data
EXPOSE 8008
# A container is reached from outside it: all its addresses, and the host decides which are published. The first start makes
# the configuration; `-e SERVER_NAME=example.org` names the server then, and for ever.
ENV SERVER_NAME=localhost
ENTRYPOINT ["/bin/sh", "-euc", "wardstead init --if-missing --server-name \"$SERVER_NAME\" --listen 0.0.0.0:8008 /data; exec wardstead serve --config /data/config.toml"]
