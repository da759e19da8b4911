import type { Naive } from '../../test/support/naive-matrix.js'
import { baseline, service } from '../../test/support/mesh.js'

const API_VERSION = 'portcullis.dev/v1beta1'

/** The policies that come into force in turn: eight, by what three bits open or close. */
export const POLICIES: readonly Naive[] = Array.from({ length: 8 }, (_, index) =>
  meshOf({ batchReads: (index & 1) === 0, frozen: (index & 2) !== 0, marked: (index & 4) === 0 }),
)

/** Decisions that differ from one policy to the next. */
type Variant = {
  /** batch may list orders. */
  readonly batchReads: boolean
  /** Nobody may create orders. */
  readonly frozen: boolean
  /** Calls with `x-k: 2` are forbidden in stock. */
  readonly marked: boolean
}

function meshOf({ batchReads, frozen, marked }: Variant): Naive {
  const readers = batchReads ? ['courier', 'batch'] : ['courier']
  return {
    baseline: baseline({ defaults: { mode: 'Enforce' } }),
    services: [
      service('shop/web', { calls: [{ service: 'orders' }, { service: 'payments' }, { service: 'stock' }] }),
      service('shop/batch', { calls: [{ service: 'orders' }] }),
      service('shop/courier', { calls: [{ service: 'orders' }, { service: 'stock' }] }),
      service('shop/replayer', { calls: [{ service: 'payments' }] }),
      service('other/stranger', {}),
      service('shop/orders', {
        endpoints: [
          { name: 'List', paths: ['/orders'], methods: ['GET'] },
          { name: 'Read', paths: ['/orders/{id}'], methods: ['GET'] },
          { name: 'Create', paths: ['/orders'], methods: ['POST'], workloadScopes: ['orders:write'] },
          {
            name: 'Note',
            paths: ['/orders/{id}/note'],
            methods: ['PUT'],
            require: 'Both',
            userScopes: ['orders:note'],
          },
        ],
        rules: [
          { name: 'web', from: [{ services: ['web'] }] },
          { name: 'readers', from: [{ services: readers }], to: [{ endpoints: ['List', 'Read'] }] },
        ],
        ...(frozen && { forbid: [{ name: 'frozen', to: [{ endpoints: ['Create'] }] }] }),
      }),
      service('shop/payments', {
        endpoints: [
          { name: 'Pay', paths: ['/payments'], methods: ['POST'], workloadScopes: ['payments:process'] },
          { name: 'Look', paths: ['/payments/{id}'], methods: ['GET'] },
        ],
        rules: [{ name: 'payers', from: [{ services: ['web', 'replayer'] }] }],
      }),
      // Without rules: whoever is of its own namespace.
      service('shop/stock', {
        endpoints: [{ name: 'Get', paths: ['/stock/{item}'], methods: ['GET'] }],
        ...(marked && {
          forbid: [{ name: 'marked', when: [{ key: 'request.headers[x-k]', values: ['2'] }] }],
        }),
      }),
      service('edge/portal', {
        require: 'User',
        endpoints: [
          { name: 'Home', paths: ['/home'], methods: ['GET'] },
          { name: 'Login', paths: ['/login'], methods: ['POST'], require: 'None' },
        ],
        rules: [
          { name: 'users', from: [{ users: true }], to: [{ endpoints: ['Home'] }] },
          { name: 'anyone', from: [{ any: true }], to: [{ endpoints: ['Login'] }] },
        ],
      }),
      service('lab/records', {
        require: 'User',
        endpoints: [{ name: 'Get', paths: ['/records/{id}'], methods: ['GET'], dataPolicy: 'restricted' }],
        rules: [{ name: 'users', from: [{ users: true }] }],
      }),
    ],
  }
}

/** What stands beside the matrix: who may read records, and failures that never add up to a signal. */
const BESIDE = [
  {
    apiVersion: API_VERSION,
    kind: 'DataPolicy',
    metadata: { name: 'restricted' },
    spec: { access: [{ role: 'scientist', operations: ['Read'], approval: 'Required' }] },
  },
  {
    apiVersion: API_VERSION,
    kind: 'RiskPolicy',
    metadata: { name: 'soak' },
    spec: {
      factors: {
        failedAttempts: {
          tiers: [
            { above: 2, points: 5 },
            { above: 10, points: 14 },
          ],
        },
      },
    },
  },
]

/** JSON is YAML. */
const asFile = (documents: readonly object[]): string =>
  documents.map((document) => JSON.stringify(document)).join('\n---\n')

export function policyFile(index: number): string {
  const mesh = POLICIES[index]
  if (!mesh) throw new Error(`no policy ${index}`)
  return asFile([...mesh.services, mesh.baseline, ...BESIDE])
}

/** Services that nobody of the soak calls, so that a reload has something to compile. */
export function fillerFile(count: number): string {
  return asFile(
    Array.from({ length: count }, (_, index) =>
      service(`fill/s${index}`, {
        calls: [{ service: `s${(index + 1) % count}` }, { service: `s${(index + 7) % count}` }],
        endpoints: [{ name: 'Get', paths: ['/items/{id}'], methods: ['GET'] }],
        rules: [{ name: 'near', from: [{ namespaces: ['fill'] }] }],
      }),
    ),
  )
}

const OPEN_FOR_ALL = {
  apiVersion: API_VERSION,
  kind: 'BaselinePolicy',
  metadata: { name: 'open' },
  spec: { allow: [{ name: 'all', from: [{ any: true }], to: [{ ports: [8443] }] }] },
}

/** Files that must be refused. Each would open everything if it were taken in part. */
export const BROKEN_FILES: readonly string[] = [
  `${JSON.stringify(OPEN_FOR_ALL)}\n---\n{ apiVersion: [unclosed`,
  asFile([
    OPEN_FOR_ALL,
    service('shop/opened', { rules: [{ name: 'r', from: [{ services: ['nobody'] }] }] }),
  ]),
  asFile([OPEN_FOR_ALL, { ...service('shop/opened', {}), specs: {} }]),
  asFile([OPEN_FOR_ALL, { ...service('shop/opened', {}), kind: 'ServicePolice' }]),
]
