import type { Decision } from '../decision/decision.js'
import { HTTP_STATUS_OF_REASON } from '../decision/reason.js'
import type { AccessRequest } from '../request/access-request.js'
import { challengeOf, type RefusalWording } from './challenge.js'
import { headerList, headerValue } from './header-value.js'
import type { UnreadableRequest } from './read-access-request.js'
import {
  type HeaderSetting,
  type Metadata,
  writeAllow,
  writeAllowTcp,
  writeDenied,
} from './write-check-response.js'

export const DECISION_ID_HEADER = 'x-portcullis-decision-id'
export const REASON_HEADER = 'x-portcullis-reason'

/** Names of the headers that tell the upstream who calls; '' disables one. Source: FORMATS 2 `upstreamHeaders`. */
export type UpstreamHeaders = {
  readonly userId: string
  readonly userRoles: string
  readonly deviceTrust: string
  readonly callerService: string
  readonly callerId: string
  readonly obligations: string
}

export type ReplyOptions = {
  readonly upstreamHeaders: UpstreamHeaders
  /** The header of the minted assertion; '' where none is minted. */
  readonly assertionHeader: string
  readonly wording: RefusalWording
  /** Exact names of the headers set here, by their spelling with `_` turned into `-`. */
  readonly ownNames: ReadonlyMap<string, string>
  /** A refusal that needs nothing to be written, for when writing itself fails. */
  readonly lastResort: Buffer
}

/** Header names are lower-case. */
export function prepareReplies(
  upstreamHeaders: UpstreamHeaders,
  wording: RefusalWording,
  assertionHeader = '',
): ReplyOptions {
  const names = [
    ...Object.values(upstreamHeaders),
    assertionHeader,
    DECISION_ID_HEADER,
    REASON_HEADER,
  ].filter((name) => name !== '')
  return {
    upstreamHeaders,
    assertionHeader,
    wording,
    ownNames: new Map(names.map((name) => [dashed(name), name])),
    lastResort: writeDenied({
      httpStatus: HTTP_STATUS_OF_REASON['internal-error'],
      rpcCode: RPC_UNAVAILABLE,
      message: 'internal-error',
      headers: [{ name: REASON_HEADER, value: 'internal-error' }],
      body: '',
      metadata: { decision: 'deny', decisionId: '', reason: 'internal-error', mode: 'Enforce' },
    }),
  }
}

/**
 * The CheckResponse for a decision. Throws where an identity has no form as a header (`headerValue`): a request
 * whose upstream can't be told who calls must not reach it.
 */
export function replyTo(
  decision: Decision,
  decisionId: string,
  request: AccessRequest | UnreadableRequest | undefined,
  options: ReplyOptions,
  assertion?: string,
): Buffer {
  if (decision.outcome !== 'allow') return refusalReply(decision, decisionId, isGrpc(request), options)
  // An allow of what was never read would be a bug; there is nothing to write it for.
  if (request === undefined || 'ok' in request) throw new Error('an unread request was allowed')
  return allowReply(decision, decisionId, request, options, assertion)
}

/** Where the target only watches, the request stays as it is. Source: FORMATS 1, rule 9. */
export function changesRequest({ outcome, mode }: Decision): boolean {
  return outcome === 'allow' && mode === 'Enforce'
}

function allowReply(
  decision: Decision,
  decisionId: string,
  request: AccessRequest,
  options: ReplyOptions,
  assertion: string | undefined,
): Buffer {
  const metadata = metadataOf(decision, decisionId)
  if (request.http === undefined) return writeAllowTcp(metadata)
  const idSetting = { name: DECISION_ID_HEADER, value: decisionId }
  const set: HeaderSetting[] = [idSetting]
  const remove: string[] = []
  const enforced = changesRequest(decision)
  if (enforced) {
    const { upstreamHeaders: names } = options
    const { user, workload, obligations } = decision
    put(names.userId, user && headerValue(user.subject), set, remove)
    put(names.userRoles, user && headerList(user.roles), set, remove)
    put(names.deviceTrust, user?.deviceTrust, set, remove)
    put(names.callerService, decision.caller, set, remove)
    put(names.callerId, workload?.spiffeId.text, set, remove)
    put(names.obligations, headerList(obligations), set, remove)
    put(options.assertionHeader, assertion, set, remove)
  }
  for (const inbound of request.http.headers.names()) {
    if (!inbound.includes('_') && !options.ownNames.has(inbound)) continue
    const own = options.ownNames.get(dashed(inbound))
    // The reason is for callers alone: nothing sets it for an upstream, so a caller's copy is taken away.
    if (own === undefined || (own === inbound && own !== REASON_HEADER)) continue
    if (enforced || own === DECISION_ID_HEADER) remove.push(inbound)
  }
  return writeAllow({ set, remove, respond: [idSetting], removeQueryParameters: [], metadata })
}

/** Sets a header, or removes what the caller sent under its name; '' as name means that it is disabled. */
function put(name: string, value: string | undefined, set: HeaderSetting[], remove: string[]): void {
  if (name === '') return
  if (value === undefined || value === '') remove.push(name)
  else set.push({ name, value })
}

const dashed = (name: string): string => (name.includes('_') ? name.replaceAll('_', '-') : name)

function isGrpc(request: AccessRequest | UnreadableRequest | undefined): boolean {
  if (request === undefined) return false
  return 'ok' in request ? request.grpc : request.http?.grpc === true
}

const RPC_UNAVAILABLE = 14
/** gRPC's own codes for these statuses; 429 as RESOURCE_EXHAUSTED, which clients don't retry at once. */
const RPC_CODE = { 401: 16, 403: 7, 429: 8, 503: RPC_UNAVAILABLE } as const

const GENERAL_MESSAGE = {
  401: 'Authentication is required or was not accepted.',
  403: 'This call is not allowed.',
  429: 'Too many requests.',
  503: 'Authorization is not available.',
} as const

function refusalReply(decision: Decision, decisionId: string, grpc: boolean, options: ReplyOptions): Buffer {
  const { wording } = options
  const reason = decision.reason === 'allowed' ? 'internal-error' : decision.reason
  const challenge = decision.outcome === 'challenge'
  const httpStatus = challenge ? wording.stepUpStatus : HTTP_STATUS_OF_REASON[reason]
  // A challenge is about who the caller is, whichever HTTP status was chosen for it.
  const rpcCode = challenge ? RPC_CODE[401] : RPC_CODE[httpStatus]
  const message = wording.showMessages ? decision.message : GENERAL_MESSAGE[httpStatus]
  const headers: HeaderSetting[] = [
    { name: DECISION_ID_HEADER, value: decisionId },
    { name: REASON_HEADER, value: reason },
  ]
  const authenticate = challengeOf(decision, httpStatus, wording)
  if (authenticate !== undefined) headers.push({ name: 'www-authenticate', value: authenticate })
  const nonce = decision.dpop?.nonce
  if (nonce !== undefined) headers.push({ name: 'dpop-nonce', value: nonce })
  // Envoy answers a gRPC call with trailers only: it keeps a grpc-status given here and makes the body grpc-message.
  headers.push(
    grpc
      ? { name: 'grpc-status', value: String(rpcCode) }
      : { name: 'content-type', value: 'application/json' },
  )
  const body = grpc ? `${message} (${reason})` : refusalBody(decision, reason, message, decisionId)
  const metadata = metadataOf(decision, decisionId)
  return writeDenied({ httpStatus, rpcCode, message: reason, headers, body, metadata })
}

function refusalBody(decision: Decision, reason: string, message: string, decisionId: string): string {
  if (decision.outcome !== 'challenge') {
    return JSON.stringify({ error: reason, message, decision_id: decisionId })
  }
  return JSON.stringify({
    error: reason,
    challenge: 'mfa',
    factor: decision.stepUp?.factor,
    session_id: decision.user?.sessionId,
    decision_id: decisionId,
  })
}

function metadataOf(decision: Decision, decisionId: string): Metadata {
  const { obligations, revision } = decision
  return {
    decision: decision.outcome,
    decisionId,
    reason: decision.reason,
    mode: decision.mode,
    rule: decision.rule,
    caller: decision.caller,
    target: decision.target,
    endpoint: decision.endpoint,
    user: decision.user?.subject,
    riskScore: decision.riskScore,
    revision: revision === '' ? undefined : revision,
    // Where a mode lets the call pass, nothing about it is to be held to.
    obligations:
      obligations.length === 0 || (decision.outcome === 'allow' && !changesRequest(decision))
        ? undefined
        : obligations,
  }
}
