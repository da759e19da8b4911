/** Size and speed of the matrix alone; the second part of `make bench`. */
import type { AccessRequest } from '../src/request/access-request.js'
import { compileMatrix, serviceOfIdentity } from '../src/segmentation/compile.js'
import { chooseEndpoint, evaluateMatrix } from '../src/segmentation/evaluate.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../src/segmentation/facts.js'
import type { Matrix } from '../src/segmentation/matrix.js'
import { generateMesh, idOf, targetOf } from './mesh.js'

const ROUNDS = 7
const CALLS = 200_000

function compile(services: number, edges: number): Matrix {
  const documents = generateMesh(services, edges)
  const compiled = compileMatrix({
    documents,
    localTrustDomain: 'cluster.local',
    trustDomains: [],
    revision: 'bench',
  })
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems.slice(0, 3)))
  return compiled.matrix
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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
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

function heapBytes(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

for (const [services, edges] of [
  [10, 50],
  [100, 1000],
  [1000, 10_000],
  [10_000, 100_000],
] as const) {
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    const documents = generateMesh(services, edges)
    const begin = cpuMs()
    compileMatrix({ documents, localTrustDomain: 'cluster.local', trustDomains: [], revision: 'bench' })
    times.push(cpuMs() - begin)
  }
  const before = heapBytes()
  const matrix = compile(services, edges)
  const bytes = heapBytes() - before
  const few = nanosecondsPerCall(matrix, services, 10)
  const many = nanosecondsPerCall(matrix, services, 1000)
  console.log(
    `${services} services, ${matrix.counts.edges} edges: CPU a decision ${few.toFixed(0)} ns among 10 calls, ` +
      `${many.toFixed(0)} ns among 1000; compile ${median(times).toFixed(0)} ms; ` +
      `${(bytes / matrix.counts.edges).toFixed(0)} bytes an edge, services and rules included`,
  )
}
