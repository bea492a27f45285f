# The image of a broker, and of the command `ottla`. Debian, because the native parts (LevelDB,
# Snappy, LZ4, CRC-32C) come prebuilt for glibc: nothing is compiled, neither here nor at run time.

# Builds with everything, and leaves what a running broker needs.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY src src
# Goes: LevelDB's library for other platforms and its sources, and what only people and tools read.
RUN npm run --silent build \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 && find node_modules/classic-level/prebuilds -mindepth 1 -maxdepth 1 -type d \
      ! -name "linux-$(node -p process.arch)" -exec rm -r {} + \
 && rm -rf node_modules/classic-level/deps node_modules/.package-lock.json \
 && find node_modules dist -type f \( -name '*.ts' -o -name '*.cts' -o -name '*.mts' \
      -o -name '*.map' -o -name '*.md' -o -name '*.flow' \) -delete \
 && chmod 755 dist/cli/ottla.cjs

FROM node:24-bookworm-slim
# The version of the package is that of the image.
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="ottla" \
      org.opencontainers.image.description="A distributed commit log in TypeScript: Kafka's job, without a JVM." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
# A new named volume takes over the owner of the directory that it is mounted on.
RUN mkdir -p /var/lib/ottla && chown node:node /var/lib/ottla \
 && ln -s /opt/ottla/dist/cli/ottla.cjs /usr/local/bin/ottla
COPY deploy/image/broker.properties /etc/ottla/broker.properties
COPY --from=build /build/package.json /opt/ottla/package.json
COPY --from=build /build/proto /opt/ottla/proto
COPY --from=build /build/node_modules /opt/ottla/node_modules
COPY --from=build /build/dist /opt/ottla/dist
ENV NODE_ENV=production
USER node
WORKDIR /var/lib/ottla
VOLUME /var/lib/ottla
# Kafka's protocol, gRPC, HTTP (metrics and health), and the brokers among themselves.
EXPOSE 9092 9192 9292 9392
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=3 \
  CMD ["ottla", "health", "--config", "/etc/ottla/broker.properties"]
# `env -S` in the first line of the command becomes node by exec: the broker is process 1.
ENTRYPOINT ["ottla"]
CMD ["broker", "--config", "/etc/ottla/broker.properties"]
