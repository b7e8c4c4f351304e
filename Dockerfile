# The server alone, as an ordinary user, with its data in /data. docs/operations.md says how to run it ("In a container").
#
#   docker build -t wardstead .        with BuildKit: Docker 23 or newer, or DOCKER_BUILDKIT=1

FROM rust:1.95-bookworm AS build
ENV WARDSTEAD_CACHE=/build
WORKDIR /source
COPY . .
# What is compiled stays on the machine that builds, for the next time: RocksDB alone takes ten minutes. In the program, the tables by
# which a panic tells its line are compressed, which halves it.
RUN --mount=type=cache,id=wardstead-crates,target=/usr/local/cargo/registry \
    --mount=type=cache,id=wardstead-build,target=/build \
    .ci/deps \
    && .ci/deps exec cargo build --release --locked -p wardstead \
    && objcopy --compress-debug-sections=zlib \
        "$(.ci/deps env | sed -n 's/^CARGO_TARGET_DIR=//p')/release/wardstead" /wardstead

FROM debian:bookworm-slim
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="Wardstead" \
    org.opencontainers.image.description="A Matrix homeserver for clinical teams" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
RUN groupadd --system --gid 990 wardstead \
    && useradd --system --uid 990 --gid 990 --home-dir /data --create-home --shell /usr/sbin/nologin wardstead \
    && chmod 0700 /data
# Whom to trust when the server connects to a database with TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /wardstead /usr/local/bin/
# By number, so that an orchestrator sees that it is not root.
USER 990:990
VOLUME /data
EXPOSE 8008
# A start reads the logs of the data first; until it has, the container is starting, not sick.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["wardstead", "health", "--config", "/data/config.toml"]
# Without a configuration there, the first start makes one. A container is reached from outside it: the server listens on all addresses,
# and the host decides which are published. The shell makes way for the server, which gets the signals itself.
ENTRYPOINT ["/bin/sh", "-euc", "[ -e /data/config.toml ] || wardstead init --server-name \"${SERVER_NAME:?needed at the first start: what stands behind the colon of user ids. It can never be changed}\" --listen 0.0.0.0:8008 /data; exec wardstead serve --config /data/config.toml"]
