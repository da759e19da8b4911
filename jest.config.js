/** Tests are ES modules: `npm test` sets --experimental-vm-modules. */
const project = (name, extra = {}) => ({
  displayName: name,
  rootDir: import.meta.dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  ...extra,
})

export default {
  // Modules of tests are never let go: a process of all of them grows to gigabytes, and spends its time on collecting.
  workerIdleMemoryLimit: '1GB',
  reporters: ['default', '<rootDir>/test/support/totals-reporter.js'],
  projects: [
    project('unit'),
    project('front-door'),
    project('fuzz'),
    project('contract'),
    project('e2e'),
    project('cluster'),
  ],
}
