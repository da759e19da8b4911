/** The doors between the rooms: DESIGN 2, ARCHITECTURE.md "Doors". */
const CORE =
  '^src/(request|decision|identity|segmentation|state|session|device|data|grants|signals|risk|audit)/'
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Looked for in what was built, where imports of types are gone.',
      severity: 'error',
      from: { path: '^dist/' },
      to: { circular: true },
    },
    {
      name: 'core-imports-only-core',
      comment: 'Core decides; it never reads, listens or configures.',
      severity: 'error',
      from: { path: CORE },
      to: { path: '^src/', pathNot: [CORE, '^src/schema/'] },
    },
    {
      name: 'core-does-no-io',
      severity: 'error',
      from: { path: CORE },
      to: {
        path: '^(node:)?(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads)(/|$)|ioredis|@grpc/',
      },
    },
    {
      name: 'schema-is-a-leaf',
      severity: 'error',
      from: { path: '^src/schema/' },
      to: { path: '^src/', pathNot: '^src/schema/' },
    },
    {
      name: 'config-imports-only-schema',
      severity: 'error',
      from: { path: '^src/config/' },
      to: { path: '^src/', pathNot: '^src/(config|schema)/' },
    },
    {
      name: 'adapters-are-alone',
      comment:
        'One outside system a file; they implement what the core declares and never know each other or the configuration.',
      severity: 'error',
      from: { path: '^src/adapters/([^/]+)' },
      to: { path: '^src/(adapters|config|cli|policy|lifecycle|main)', pathNot: '^src/adapters/$1' },
    },
    {
      name: 'only-the-top-knows-everything',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(main\\.ts|main/|cli/)' },
      to: { path: '^src/(main\\.ts|main/|cli/)' },
    },
    {
      name: 'ext-authz-speaks-for-the-core-only',
      severity: 'error',
      from: { path: '^src/(ext-authz/|authorize\\.ts|decide\\.ts)' },
      to: { path: '^src/(adapters|config|cli|policy|main)' },
    },
    {
      name: 'no-dev-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    parser: 'swc',
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
  },
}
