# syntax=docker/dockerfile:1
# Burrow as an image: the program on a base without a shell, run by nobody in particular, its data in /data.
#   docker build -t burrow .
#   docker run --read-only -p 8090:8090 -v burrow:/data burrow

FROM node:22-bookworm-slim AS dashboard
WORKDIR /src/admin-ui
COPY admin-ui/package.json admin-ui/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY admin-ui ./
RUN npm run build

FROM rust:1.95-slim-bookworm AS program
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# The manifest names the tests; building the program does not read them.
RUN mkdir -p tests/it && touch tests/it/main.rs
COPY --from=dashboard /src/admin-ui/dist ./admin-ui/dist
RUN cargo build --release --locked && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=program /src/target/release/burrow /burrow
# The directory belongs to the user of the base image, so that a fresh volume does too.
COPY --from=program --chown=nonroot:nonroot /data /data
ENV BURROW_DIR=/data BURROW_HTTP=0.0.0.0:8090 BURROW_LOG_FORMAT=json
EXPOSE 8090
VOLUME /data
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/burrow", "health"]
ENTRYPOINT ["/burrow"]
CMD ["serve"]
