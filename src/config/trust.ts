import type { Static } from '@sinclair/typebox'
import { isIPv6 } from 'node:net'
import { type ListenAddress, parseListenAddress } from './address.js'
import type { BundleSchema } from './trust-schema.js'

/** Where a trust domain's bundle comes from. Paths are absolute, targets as grpc-js takes them. */
export type BundleSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'workloadApi'; readonly target: string }
  | {
      readonly kind: 'HttpsWeb'
      readonly url: string
      /** Undefined: the system's roots. */
      readonly caFile: string | undefined
    }
  | {
      readonly kind: 'HttpsSpiffe'
      readonly url: string
      readonly endpointId: string
      /** The endpoint's own trust domain before its first answer; undefined where another one vouches for it. */
      readonly bootstrapFile: string | undefined
    }

export type ParsedAgentAddress =
  { readonly ok: true; readonly address: ListenAddress } | { readonly ok: false; readonly problem: string }

const LOOPBACK = /^(?:127(?:\.[0-9]{1,3}){3}|::1)$/

/** Parses `unix:/path`, `unix:///path` or `tcp://127.0.0.1:8081`. Source: SPIFFE Workload Endpoint 4. */
export function parseAgentAddress(text: string): ParsedAgentAddress {
  if (!text.startsWith('unix:') && !text.startsWith('tcp:'))
    return { ok: false, problem: 'must be unix:/path, or tcp:// with a loopback address and port' }
  const parsed = parseListenAddress(text.replace(/^tcp:(?:\/\/)?/, ''))
  if (!parsed.ok || parsed.address.kind === 'unix') return parsed
  if (!LOOPBACK.test(parsed.address.host) || parsed.address.port === 0)
    return { ok: false, problem: 'must have a loopback address and a port: keys travel there unencrypted' }
  return parsed
}

/** `resolvePath` gives absolute paths. Throws on what the checks refuse. */
export function agentTarget(text: string, resolvePath: (path: string) => string): string {
  const parsed = parseAgentAddress(text)
  if (!parsed.ok) throw new Error(`an agent's address that ${parsed.problem} passed the checks`)
  const { address } = parsed
  if (address.kind === 'unix') return `unix:${resolvePath(address.path)}`
  return isIPv6(address.host)
    ? `ipv6:[${address.host}]:${address.port}`
    : `ipv4:${address.host}:${address.port}`
}

/** Throws on what the checks refuse. */
export function bundleSource(
  { file, workloadApi, url, profile, endpointId, ca }: Static<typeof BundleSchema>,
  resolvePath: (path: string) => string,
): BundleSource {
  if (url !== undefined && profile === 'HttpsSpiffe' && endpointId !== undefined) {
    const bootstrapFile = file === undefined ? undefined : resolvePath(file)
    return { kind: 'HttpsSpiffe', url, endpointId, bootstrapFile }
  }
  if (url !== undefined && profile === 'HttpsWeb')
    return { kind: 'HttpsWeb', url, caFile: ca === undefined ? undefined : resolvePath(ca) }
  if (workloadApi !== undefined) return { kind: 'workloadApi', target: agentTarget(workloadApi, resolvePath) }
  if (file !== undefined) return { kind: 'file', path: resolvePath(file) }
  throw new Error('a bundle without a source passed the checks')
}
