import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Report, ServiceDocument } from './compile-problem.js'
import type { CompiledEndpoint } from './compiled.js'
import type { Directory } from './directory.js'
import type { EndpointWay } from './endpoint-index.js'
import type { Requirement } from './matrix.js'
import type { Mode } from '../decision/mode.js'
import { parsePathTemplate } from './path-template.js'
import { checkMethods, compileGrpc } from './to.js'
import { flatText } from './flat-text.js'

type Written = NonNullable<ServiceDocument['spec']['endpoints']>[number]
type Endpoints = {
  readonly names: Map<string, number>
  readonly compiled: CompiledEndpoint[]
  readonly ways: EndpointWay[]
}

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
const NONE: readonly never[] = []
/** RFC 6749 3.3, less the `*` that elsewhere stands for many. */
const SCOPE = /^[\x21\x23-\x29\x2b-\x5b\x5d-\x7e]+$/

/** The operation of a method that no endpoint says otherwise of. Source: FORMATS 1. */
export function operationOfMethod(method: string | undefined): 'Read' | 'Write' {
  return method !== undefined && READING.has(method) ? 'Read' : 'Write'
}

/** Compiles what one service exposes; what it leaves out comes from the service. */
export function compileEndpoints(
  document: ServiceDocument,
  defaults: { readonly mode: Mode; readonly require: Requirement },
  directory: Directory,
  report: Report,
): Endpoints {
  const endpoints: Endpoints = { names: new Map(), compiled: [], ways: [] }
  for (const [index, written] of (document.spec.endpoints ?? []).entries()) {
    const at = ['spec', 'endpoints', index]
    if (endpoints.names.has(written.name)) {
      report([...at, 'name'], `there is an endpoint \`${written.name}\` already`, 'duplicate-name')
    } else {
      endpoints.names.set(written.name, index)
    }
    checkShape(written, at, report)
    compileOne(document, written, index, defaults, directory, endpoints, report)
  }
  return endpoints
}

function compileOne(
  document: ServiceDocument,
  written: Written,
  index: number,
  defaults: { readonly mode: Mode; readonly require: Requirement },
  directory: Directory,
  into: Endpoints,
  report: Report,
): void {
  const at = ['spec', 'endpoints', index]
  const { spec } = document
  const protocol = written.protocol ?? 'HTTP'
  const data =
    written.dataPolicy === undefined
      ? undefined
      : directory.resolveDataPolicy(written.dataPolicy, [...at, 'dataPolicy'], report)
  if (data?.hasAccessRules && protocol === 'TCP') {
    const message = `the DataPolicy ${written.dataPolicy} asks for a user, and a TCP connection has none`
    report([...at, 'dataPolicy'], message, 'tcp-with-http')
  }
  const half = (operation: CompiledEndpoint['operation'], methods: readonly string[]): CompiledEndpoint => ({
    name: written.name,
    mode: written.mode ?? spec.mode ?? defaults.mode,
    require: written.require ?? spec.require ?? defaults.require,
    sensitivity: written.sensitivity ?? spec.sensitivity ?? 'Medium',
    mfa: written.mfa ?? 'None',
    maxAuthAgeMs: readAge(written.maxAuthAge, [...at, 'maxAuthAge'], report),
    operation,
    dataPolicy: written.dataPolicy,
    source: flatText(document.sourceOf(at)),
    index,
    protocol,
    methods: directory.shared(methods),
    ports: written.ports ?? NONE,
    workloadScopes: readScopes(written.workloadScopes, [...at, 'workloadScopes'], directory, report),
    userScopes: readScopes(written.userScopes, [...at, 'userScopes'], directory, report),
    userForData: data?.hasAccessRules ?? false,
  })
  const methods = written.methods ?? NONE
  const readsAlone =
    protocol === 'HTTP' && methods.length > 0 && methods.every((method) => READING.has(method))
  const halves: CompiledEndpoint[] = []
  if (written.operation) halves.push(half(written.operation, methods))
  else if (readsAlone && !written.grpc) halves.push(half('Read', methods))
  else if (protocol !== 'HTTP' || !methods.some((method) => READING.has(method)))
    halves.push(half('Write', methods))
  else {
    const writing = half('Write', NONE)
    halves.push(
      { ...writing, methods: methods.filter((method) => !READING.has(method)) },
      { ...writing, operation: 'Read', methods: methods.filter((method) => READING.has(method)) },
    )
  }
  into.compiled.push(...halves)
  const writing = halves[0]
  if (!writing) return
  for (const [way, text] of (written.paths ?? NONE).entries()) {
    const pointer = [...at, 'paths', way]
    const parsed = parsePathTemplate(text)
    if (!parsed.ok) report(pointer, `the path \`${text}\`: ${parsed.problem}`, 'bad-path')
    else {
      const segments = parsed.template.segments.map((segment) => directory.sharedWord(segment))
      for (const endpoint of halves) {
        if (endpoint.methods.length === 0) continue
        const template = { segments, rest: parsed.template.rest }
        into.ways.push({ kind: 'path', template, text, endpoint, pointer })
      }
    }
  }
  for (const [way, method] of (written.grpc ?? NONE).entries()) {
    const pointer = [...at, 'grpc', way]
    const path = compileGrpc(method, pointer, report)
    if (path !== undefined) into.ways.push({ kind: 'grpc', path, endpoint: writing, pointer })
  }
  if (protocol === 'TCP') into.ways.push({ kind: 'tcp', endpoint: writing, pointer: at })
}

/** Reports combinations of fields that no request could meet, or that would open more than they say. */
function checkShape(written: Written, at: Pointer, report: Report): void {
  const { protocol = 'HTTP', paths, methods, grpc } = written
  checkMethods(methods, [...at, 'methods'], report)
  if (protocol === 'TCP') {
    for (const field of ['paths', 'methods', 'grpc', 'userScopes', 'mfa', 'maxAuthAge'] as const) {
      if (written[field] === undefined) continue
      report(
        [...at, field],
        `a TCP endpoint has no ${field}: it sees a connection and no request`,
        'tcp-with-http',
      )
    }
    if (written.require === 'User' || written.require === 'Both') {
      report([...at, 'require'], 'no user can be verified on a TCP connection', 'tcp-with-http')
    }
    if (!written.ports) report(at, 'a TCP endpoint names its ports', 'missing-ports')
    return
  }
  if (protocol === 'WebSocket' && grpc) {
    report([...at, 'grpc'], 'gRPC is not spoken over a WebSocket', 'websocket-with-grpc')
  }
  if (!paths && !grpc)
    report(at, 'an endpoint needs paths with methods, grpc, or protocol: TCP', 'missing-paths')
  if (paths && !methods) report(at, 'an endpoint with paths names its methods', 'missing-methods')
  if (methods && !paths)
    report([...at, 'methods'], 'methods go with paths; gRPC calls are always POST', 'missing-paths')
}

/** Scopes that must be held, or are granted; each compared as a whole. */
export function readScopes(
  scopes: readonly string[] | undefined,
  at: Pointer,
  directory: Directory,
  report: Report,
): readonly string[] {
  if (!scopes || scopes.length === 0) return NONE
  for (const [index, scope] of scopes.entries()) {
    if (!SCOPE.test(scope))
      report([...at, index], `\`${scope}\` is no scope: they are exact, without blanks or *`, 'bad-scope')
  }
  return directory.shared(scopes)
}

function readAge(text: string | undefined, at: Pointer, report: Report): number | undefined {
  if (text === undefined) return undefined
  const ageMs = parseDurationMs(text)
  if (ageMs === undefined) report(at, `\`${text}\` is no duration such as 15m`, 'bad-duration')
  return ageMs
}
