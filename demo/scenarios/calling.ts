import { type Answer, callGrpc, callHttp, callTcp, type Way } from '../calls.js'
import type { CallableMesh } from '../mesh.js'
import type { Scenario } from '../scenario.js'
import { PORTS, WEB_HOST } from '../services.js'

/** Headers of a call; those with tokens are made when the call is. */
export type HeadersOf = (mesh: CallableMesh) => Promise<Readonly<Record<string, string>>>

export type Call = Pick<Scenario, 'expected' | 'also'> & {
  readonly caller: string
  readonly target: string
  /** What is remarkable; stands in the table after the request. */
  readonly note?: string
  readonly headers?: HeadersOf
  /** How the call gets there; through the caller's own sidecar when absent. */
  readonly way?: (mesh: CallableMesh) => Way
}

export const ALLOWED = { status: '200', decision: 'allow', reason: 'allowed' } as const
export const GRPC_OK = { status: 'grpc 0', decision: 'allow', reason: 'allowed' } as const

/** A refusal with its HTTP status. */
export function denied(status: 401 | 403, reason: string): Scenario['expected'] {
  return { status: String(status), decision: 'deny', reason }
}

export const CHALLENGED = { status: '401', decision: 'challenge', reason: 'step-up-required' } as const

/** `request` is a method and a path. */
export function http(request: string, call: Call): Scenario {
  const [method = '', path = ''] = request.split(' ')
  return {
    ...shown(request, call),
    call: async (mesh) =>
      callHttp(wayOf(call, mesh), {
        method,
        path,
        host: call.target,
        headers: (await call.headers?.(mesh)) ?? {},
      }),
  }
}

/** `method` is `package.Service/Method`. */
export function grpc(method: string, call: Call): Scenario {
  return {
    ...shown(method, call),
    call: async (mesh) =>
      callGrpc(wayOf(call, mesh), { method, host: call.target, headers: (await call.headers?.(mesh)) ?? {} }),
  }
}

/** A connection, and a few bytes there and back. */
export function tcp(call: Omit<Call, 'expected'> & { readonly expected: Scenario['expected'] }): Scenario {
  const port = call.target === 'cache-service' ? PORTS.cache : PORTS.database
  return {
    ...shown(`TCP ${port}`, call),
    tcp: true,
    call: (mesh) => callTcp(call.way?.(mesh) ?? mesh.throughSidecar(call.caller, port)),
  }
}

/** What a user does, through the gateway. */
export function user(request: string, call: Omit<Call, 'way'>): Scenario {
  const [method = '', path = ''] = request.split(' ')
  return {
    ...shown(request, call),
    call: async (mesh) =>
      callHttp(mesh.throughGateway(), {
        method,
        path,
        host: WEB_HOST,
        headers: (await call.headers?.(mesh)) ?? {},
      }),
  }
}

function shown(request: string, call: Call): Omit<Scenario, 'call'> {
  const { caller, target, note, expected, also } = call
  return {
    caller,
    target,
    request: note === undefined ? request : `${request}  ${note}`,
    expected,
    ...(also ? { also } : {}),
  }
}

function wayOf(call: Call, mesh: CallableMesh): Way {
  return call.way?.(mesh) ?? mesh.throughSidecar(call.caller)
}

/** A header that the upstream got, or undefined. */
export function received({ echo }: Answer, header: string): string | undefined {
  const value = echo?.headers[header]
  return Array.isArray(value) ? value.join() : value
}

/** Says what is wrong unless the upstream got exactly these; null stands for none. */
export function upstreamGot(
  expected: Readonly<Record<string, string | null>>,
): (answer: Answer) => string | undefined {
  return (answer) => {
    for (const [header, value] of Object.entries(expected)) {
      const got = received(answer, header) ?? null
      if (got !== value) return `the upstream got ${header}: ${got}, expected ${value}`
    }
    return undefined
  }
}
