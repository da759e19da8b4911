# The image of Portcullis: Node.js, the libraries that it needs, the program, and nothing else. No shell, no package
# manager, no root. Another base: --build-arg BASE=…; it must be Debian's with node and npm.
ARG BASE=docker.io/library/node:22.23.3-bookworm-slim@sha256:43ac6c60b8f89723f746e8a92ce91abd5017e627ce1ddfe4238355d3a30b772c

FROM ${BASE} AS program
WORKDIR /portcullis
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY src ./src
RUN npm run --silent build -- --declaration false --sourceMap false

FROM ${BASE} AS packages
WORKDIR /portcullis
COPY package.json package-lock.json ./
# What people and compilers read, what tests packages, and what is for another C library, stays out.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
    && find node_modules -type f \( -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.map' -o -iname '*.md' \
       -o -name '*.tsbuildinfo' -o -name '*.musl.node' -o -name '*.[ch]' -o -name '*.cpp' \) ! -iname 'licen*' -delete \
    && find node_modules -type d -regex '.*/node_modules/\(@[^/]+/\)?[^/@]+/\(test\|tests\|benchmark\|benchmarks\|docs\|examples\|\.github\)' \
       -prune -exec rm -rf {} +
# Lists what lies in node_modules now, and Node.js itself.
RUN npm pkg delete devDependencies scripts \
    && npm sbom --omit=dev --sbom-type=application --sbom-format=cyclonedx >/tmp/packages.json \
    && node -e 'const bom = JSON.parse(fs.readFileSync("/tmp/packages.json")); const { node: version } = process.versions; \
       bom.components.push({ type: "platform", name: "node", version, purl: `pkg:generic/node@${version}` }); \
       fs.writeFileSync("/sbom.cdx.json", JSON.stringify(bom, undefined, 1))'

# The root of the image. Scanners find Debian's packages in status.d.
FROM ${BASE} AS root
COPY --from=packages /portcullis/node_modules/@lmdb /lmdb
COPY scripts/image-root.sh /
RUN /image-root.sh /root-of-image /usr/local/bin/node /lmdb

FROM scratch
COPY --from=root /root-of-image /
COPY --from=packages /sbom.cdx.json /usr/share/sbom/portcullis.cdx.json
COPY LICENSE /usr/share/doc/portcullis/
COPY proto /portcullis/proto
COPY --from=packages /portcullis/package.json /portcullis/
COPY --from=packages /portcullis/node_modules /portcullis/node_modules
COPY --from=program /portcullis/dist /portcullis/dist
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Portcullis" \
      org.opencontainers.image.description="Zero-trust external-authorization server for Envoy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/usr/local/bin NODE_ENV=production
USER 65532:65532
WORKDIR /etc/portcullis
EXPOSE 9191 9193 8282
ENTRYPOINT ["/usr/local/bin/node", "/portcullis/dist/cli/portcullis.js"]
CMD ["serve", "--config", "/etc/portcullis/portcullis.yaml"]
# Whether it decides. Kubernetes asks by its own probes instead. Another health.listen: give its port in HEALTH_PORT.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["/usr/local/bin/node", "-e", "require('node:http').get({ host: '127.0.0.1', port: process.env.HEALTH_PORT ?? 8282, path: '/readyz' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
