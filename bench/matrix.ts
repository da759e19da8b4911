import type { AccessRequest } from '../src/request/access-request.js'
import { compileMatrix, type PolicyDocument, serviceOfIdentity } from '../src/segmentation/compile.js'
import { chooseEndpoint, evaluateMatrix } from '../src/segmentation/evaluate.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../src/segmentation/facts.js'
import type { Matrix } from '../src/segmentation/matrix.js'
import { generateMesh, idOf, targetOf } from './mesh.js'
import { lineChart } from './plot/line-chart.js'
import { lines, machineLine, median, table } from './report.js'
import { writePlot } from './plots.js'

const ROUNDS = 7
const CALLS = 200_000

function compiled(documents: readonly PolicyDocument[]): Matrix {
  const made = compileMatrix({
    documents,
    localTrustDomain: 'cluster.local',
    trustDomains: [],
    revision: 'bench',
  })
  if (!made.ok) throw new Error(JSON.stringify(made.problems.slice(0, 3)))
  return made.matrix
}

function call(caller: number, services: number): { request: AccessRequest; id: string; target: string } {
  const [namespace, name] = idOf(caller).split('/')
  const headers = { get: () => undefined, count: () => 0, names: () => [] }
  const http = {
    method: 'GET',
    path: '/api/items/42',
    query: '',
    host: 'h',
    protocol: 'HTTP/2',
    upgrade: false,
    grpc: false,
  }
  return {
    request: {
      requestId: '',
      source: { ip: '', port: 0, principal: '', certificate: '' },
      destination: { ip: '', port: 8080, principal: '' },
      http: { ...http, headers },
      contextExtensions: new Map(),
      sni: '',
    },
    id: `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
    target: idOf(targetOf(caller, 0, services)),
  }
}

function decide(matrix: Matrix, { request, id, target: name }: ReturnType<typeof call>): boolean {
  const service = matrix.services.get(name)
  const spiffeId = { text: id, trustDomain: 'cluster.local', path: id.slice('spiffe://cluster.local'.length) }
  const target = {
    service,
    id: name,
    spiffeId: undefined,
    mode: 'Enforce',
    path: request.http?.path ?? '',
  } as const
  const facts: Facts = {
    request,
    identity: { workload: { spiffeId, verifiedBy: 'certificate' }, serviceToken: undefined, user: undefined },
    caller: serviceOfIdentity(matrix, spiffeId),
    target,
    endpoint: chooseEndpoint(target, request),
    gateway: false,
    riskScore: undefined,
    riskSources: [],
    riskLevel: undefined,
    client: UNKNOWN_CLIENT,
    device: NO_DEVICE,
    session: NO_SESSION,
    nowMs: 0,
  }
  return evaluateMatrix(matrix, facts).permit
}

/** CPU of this process, all threads. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** The same decisions over and over, from callers spread over the whole mesh. */
function nanosecondsPerCall(matrix: Matrix, services: number, different: number): number {
  const count = Math.min(services, different)
  const calls = Array.from({ length: count }, (_, at) => call(Math.floor((at * services) / count), services))
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const begin = cpuMs()
    for (let at = 0; at < CALLS; at++) {
      const next = calls[at % calls.length]
      if (!next || !decide(matrix, next)) throw new Error('the mesh refuses its own call')
    }
    rounds.push(((cpuMs() - begin) * 1e6) / CALLS)
  }
  return median(rounds)
}

/** Also the memory that the matrix takes by itself: nothing is left of the documents that it was compiled from. */
function compileAlone(services: number, edges: number): { readonly matrix: Matrix; readonly bytes: number } {
  const before = heapBytes()
  const documents = generateMesh(services, edges)
  const matrix = compiled(documents)
  for (const document of documents) {
    Object.assign(document, { spec: {}, metadata: {}, sourceOf: () => '' })
  }
  return { matrix, bytes: heapBytes() - before }
}

function heapBytes(): number {
  // One collection leaves what its finalizers let go.
  for (let times = 0; times < 4; times++) globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const MESHES = [
  [10, 50],
  [100, 1000],
  [1000, 10_000],
  [10_000, 100_000],
] as const

/** Size and speed of the matrix alone, in this process. */
export function measureMatrix(): Promise<string> {
  if (!globalThis.gc) throw new Error('memory can be told with --expose-gc only')
  const points = MESHES.map(([services, edges]) => {
    const compileMs: number[] = []
    for (let round = 0; round < 3; round++) {
      const documents = generateMesh(services, edges)
      const begin = cpuMs()
      compiled(documents)
      compileMs.push(cpuMs() - begin)
    }
    const { matrix, bytes } = compileAlone(services, edges)
    const few = nanosecondsPerCall(matrix, services, 10)
    const many = nanosecondsPerCall(matrix, services, 1000)
    return { services, edges: matrix.counts.edges, compileMs: median(compileMs), bytes, few, many }
  })
  writePlot(
    'matrix',
    lineChart({
      title: 'CPU of a lookup in the matrix',
      x: { label: 'services', scale: 'log' },
      y: { label: 'nanoseconds', min: 0 },
      series: [
        { name: 'among 10 calls', points: points.map(({ services, few }) => [services, few] as const) },
        { name: 'among 1,000 calls', points: points.map(({ services, many }) => [services, many] as const) },
      ],
      height: 300,
    }),
  )
  return Promise.resolve(
    lines(
      '## The matrix alone',
      `${machineLine(`medians of ${ROUNDS} times ${CALLS.toLocaleString('en')} decisions`)} In the process of the bench: ` +
        'CPU of one decision of the matrix among ten different calls again and again, and among a thousand, whose ' +
        'parts are in no cache of the processor; of compiling it from documents that are read already; and its ' +
        'memory, services, endpoints and rules included, the documents not.',
      table(
        ['services', 'edges', 'ns, of 10 calls', 'ns, of 1,000 calls', 'compile ms', 'bytes an edge'],
        points.map(({ services, edges, few, many, compileMs, bytes }) => [
          services.toLocaleString('en'),
          edges.toLocaleString('en'),
          few.toFixed(0),
          many.toFixed(0),
          compileMs.toFixed(0),
          (bytes / edges).toFixed(0),
        ]),
      ),
      '![CPU of a lookup in the matrix by number of services](plots/matrix.svg)',
    ),
  )
}
