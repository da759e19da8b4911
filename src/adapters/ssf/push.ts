import { createHash, timingSafeEqual } from 'node:crypto'
import type { Received } from '../../signals/receive.js'

/** What a transmitter pushed. */
export type Push = {
  readonly contentType: string | undefined
  readonly authorization: string | undefined
  readonly text: string
}

export type PushAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** By the SET's unproved `iss`; undefined: nobody of that name pushes. `problem`: why the text can't be read at all. */
export type FindPusher = (text: string) => Pusher | { readonly problem: string } | undefined

export type Pusher = {
  /** Bearer token that it must send, asked for each time; undefined: none is asked for. */
  readonly token: (() => string) | undefined
  readonly receive: (text: string) => Promise<Received>
}

/** Beyond it, pushes are asked to come again: each may wait for keys and for the store. */
const MAX_UNDER_WAY = 64
const BEARER = /^bearer /i

/**
 * Answers pushes: 202 once what the SET says is durable, 400 with a code where it is refused, 401 where the transmitter
 * doesn't show its token, 503 where it has to come again. Source: RFC 8935.
 */
export function pushReceiver(find: FindPusher): (push: Push) => Promise<PushAnswer> {
  let underWay = 0
  return async ({ contentType, authorization, text }) => {
    if (!/^application\/secevent\+jwt\s*(?:;|$)/i.test(contentType ?? '')) {
      return refusal('invalid_request', 'the content type must be application/secevent+jwt')
    }
    const pusher = find(text)
    if (!pusher) return refusal('invalid_issuer', 'it is not a SET of an issuer that may push')
    if ('problem' in pusher) return refusal('invalid_request', pusher.problem)
    if (pusher.token && !shows(authorization, pusher.token())) {
      return { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: '' }
    }
    if (underWay >= MAX_UNDER_WAY) return LATER
    underWay += 1
    try {
      return answerOf(await pusher.receive(text))
    } finally {
      underWay -= 1
    }
  }
}

const LATER: PushAnswer = { status: 503, headers: { 'retry-after': '5' }, body: '' }

function answerOf(received: Received): PushAnswer {
  if (received.status === 'accepted') return { status: 202, headers: {}, body: '' }
  return received.status === 'refused' ? refusal(received.err, received.description) : LATER
}

function refusal(err: string, description: string): PushAnswer {
  const headers = { 'content-type': 'application/json', 'content-language': 'en-US' }
  return { status: 400, headers, body: `${JSON.stringify({ err, description })}\n` }
}

/** Takes the same time whatever is sent, as hashes of one length are compared. */
function shows(authorization: string | undefined, token: string): boolean {
  if (authorization === undefined || !BEARER.test(authorization) || token === '') return false
  return timingSafeEqual(hashOf(authorization.slice('bearer '.length)), hashOf(token))
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
