# Orion in a container: not root, nothing writable but its state. How it is started: docs/docker/compose.yml.
#
# CI does not build this image, because it has no container engine, and nobody else has yet: that what is copied is enough
# for the build was tried by hand, in a bare folder.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# SQLite and aws-lc are C code; the image has the compiler.
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY config config
COPY benches benches
RUN cargo build --release --locked --bin orion

FROM debian:bookworm-slim
# The same number everywhere, so that the state's owner is the same on every host.
RUN groupadd --system --gid 8501 orion \
 && useradd --system --uid 8501 --gid orion --home-dir /var/lib/orion --shell /usr/sbin/nologin orion \
 && install -d -m 0750 -o orion -g orion /var/lib/orion \
 && install -d -m 0755 /etc/orion
COPY --from=build /src/target/release/orion /usr/bin/orion
COPY config/orion.toml config/pairs.toml /etc/orion/
RUN sed -i 's|^file = "config/pairs.toml"$|file = "/etc/orion/pairs.toml"|' /etc/orion/orion.toml
USER orion
WORKDIR /var/lib/orion
# Where the state lies, as under systemd.
ENV STATE_DIRECTORY=/var/lib/orion
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/orion", "--config", "/etc/orion/orion.toml"]
CMD ["run"]
