import type { Static } from '@sinclair/typebox'
import type { Pointer } from '../schema/problem.js'
import type { Facts } from './facts.js'
import type { Directory } from './directory.js'
import { hint } from './directory.js'
import type { Report } from './compile-problem.js'
import { resolveServices } from './from.js'
import type { CompiledService } from './compiled.js'
import { foldPath, foldTemplate, parsePathTemplate } from './path-template.js'
import { compileSelector, type Selector } from './selector.js'
import { TemplateTrie } from './template-trie.js'
import type { ToTargetsSchema } from './vocabulary.js'

/** What one element of a cluster-wide `to` asks of a request, once the target is one that it means. */
export type RequestPattern = {
  readonly paths: TemplateTrie<true> | undefined
  readonly methods: readonly string[] | undefined
  /** `/package.Service/Method` and `/package.Service/`. */
  readonly grpc: ReadonlySet<string> | undefined
  readonly ports: readonly number[] | undefined
  /** Paths ignore case and a trailing slash, as in forbids and adaptive rules. */
  readonly folded: boolean
}

/** One element of a cluster-wide `to`. */
export type To = {
  readonly request: RequestPattern
  /** Whether the target is one that it means; undefined for a target without a document where that can't be known. */
  readonly concerns: (
    service: Pick<CompiledService, 'index' | 'namespace' | 'labels'> | undefined,
  ) => boolean | undefined
}

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Z]+$/
const GRPC = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\/(?:\*|[A-Za-z_][A-Za-z0-9_]*)$/

/** Compiles one element of a cluster-wide `to`; `folded` for forbids and adaptive rules. */
export function compileTo(
  written: Static<typeof ToTargetsSchema>,
  folded: boolean,
  at: Pointer,
  directory: Directory,
  report: Report,
): To {
  if (Object.keys(written).length === 0) {
    report(at, 'an empty element says nothing: leave `to` out for everything', 'empty-to')
  }
  if (written.paths && written.grpc) {
    report(
      [...at, 'grpc'],
      'paths and grpc of one element never both hold: write two elements',
      'paths-and-grpc',
    )
  }
  const writer = { namespace: undefined, directory, report }
  const services = written.services && resolveServices(written.services, [...at, 'services'], writer)
  const selector = written.selector && compileSelector(written.selector, [...at, 'selector'], report)
  checkMethods(written.methods, [...at, 'methods'], report)
  return {
    request: {
      paths: written.paths && compilePaths(written.paths, folded, [...at, 'paths'], report),
      methods: written.methods,
      grpc: written.grpc && compileGrpcSet(written.grpc, folded, [...at, 'grpc'], report),
      ports: written.ports,
      folded,
    },
    concerns: concernsOf(services?.found, services?.missing ?? false, written.namespaces, selector),
  }
}

function concernsOf(
  services: readonly number[] | undefined,
  namesMissing: boolean,
  namespaces: readonly string[] | undefined,
  selector: Selector | undefined,
): To['concerns'] {
  return (service) => {
    if (!service) {
      if (services) return namesMissing ? undefined : false
      return namespaces || selector ? undefined : true
    }
    if (services && !services.includes(service.index)) return false
    if (namespaces && !namespaces.includes(service.namespace)) return false
    return !selector || selector(service.labels)
  }
}

function compilePaths(
  texts: readonly string[],
  folded: boolean,
  at: Pointer,
  report: Report,
): TemplateTrie<true> {
  const trie = new TemplateTrie<true>()
  for (const [index, text] of texts.entries()) {
    const parsed = parsePathTemplate(text)
    if (parsed.ok) trie.set(folded ? foldTemplate(parsed.template) : parsed.template, true)
    else report([...at, index], `the path \`${text}\`: ${parsed.problem}`, 'bad-path')
  }
  return trie
}

/** Reports methods that no canonical request can have. */
export function checkMethods(methods: readonly string[] | undefined, at: Pointer, report: Report): void {
  for (const [index, method] of (methods ?? []).entries()) {
    if (method === '*') report([...at, index], 'methods are named one by one', 'bad-method')
    else if (!METHOD.test(method)) {
      const upper = method.toUpperCase()
      const message = `\`${method}\` is no method in upper case${hint(METHOD.test(upper) ? upper : undefined)}`
      report([...at, index], message, 'bad-method')
    }
  }
}

/** The path of a gRPC method, a service's prefix for `/*`; undefined and reported when it is malformed. */
export function compileGrpc(method: string, at: Pointer, report: Report): string | undefined {
  if (GRPC.test(method)) return `/${method.endsWith('/*') ? method.slice(0, -1) : method}`
  const problem = 'is no gRPC method such as shop.v1.Payments/Refund or shop.v1.Payments/*'
  const bare = method.startsWith('/') && GRPC.test(method.slice(1)) ? method.slice(1) : undefined
  report(at, `\`${method}\` ${problem}${hint(bare)}`, 'bad-grpc-method')
  return undefined
}

function compileGrpcSet(
  methods: readonly string[],
  folded: boolean,
  at: Pointer,
  report: Report,
): Set<string> {
  const set = new Set<string>()
  for (const [index, method] of methods.entries()) {
    const path = compileGrpc(method, [...at, index], report)
    if (path !== undefined) set.add(folded ? path.toLowerCase() : path)
  }
  return set
}

/**
 * Whether a request to one of the targets is meant. A TCP check has neither path nor method. Folded patterns
 * look at the path as the target sees it and as the caller wrote it: a route's stripPrefix hides nothing.
 */
export function matchRequest(pattern: RequestPattern, { request, target }: Facts): boolean {
  const { http, destination } = request
  if (pattern.ports && !pattern.ports.includes(destination.port)) return false
  if (pattern.methods && !(http && pattern.methods.includes(http.method))) return false
  if (!pattern.paths && !pattern.grpc) return true
  if (!http) return false
  if (!pattern.folded) {
    const callsGrpc = http.method === 'POST' && !http.upgrade
    return (!pattern.grpc || callsGrpc) && matchPath(pattern, target.path)
  }
  if (matchPath(pattern, foldPath(target.path))) return true
  return http.path !== target.path && matchPath(pattern, foldPath(http.path))
}

function matchPath({ paths, grpc }: RequestPattern, path: string): boolean {
  return (!paths || paths.find(path) !== undefined) && (!grpc || isGrpcOf(grpc, path))
}

function isGrpcOf(grpc: ReadonlySet<string>, path: string): boolean {
  const slash = path.indexOf('/', 1)
  if (slash < 0 || slash === path.length - 1 || path.includes('/', slash + 1)) return false
  return grpc.has(path) || grpc.has(path.slice(0, slash + 1))
}
