import { setTimeout as sleep } from 'node:timers/promises'
import { readFileBounded } from '../adapters/files.js'
import type { ReviewRequest } from '../adapters/http/admission-review.js'
import {
  type Outcome,
  startWebhookServer,
  type WebhookServer,
  type WebhookTls,
} from '../adapters/http/webhook.js'
import type { WebhookConfig } from '../config/webhook.js'
import type { Judgement, Proposed } from '../policy/resources/judge.js'
import type { Steps } from '../schema/steps.js'
import { withinTime } from './in-turns.js'
import { type Log, messageOf, StartFailure } from './log.js'
import { watched } from './watched.js'

const MAX_FILE_BYTES = 64 * 1024
/** Reviews under way and waiting; one is looked at at a time. */
const MAX_REVIEWS = 16
/** From the arrival to the answer: somewhat less than the API server waits with the shipped configuration. */
const REVIEW_MS = 4000
/** After a review the calls have the thread for so many times as long, at most a second: whoever asks, a fifth is theirs. */
const REST = 4
const MOST_REST_MS = 1000

export type Judge = (proposed: Proposed) => Steps<Judgement>

export type WebhookParts = {
  readonly judge: Judge
  readonly log: Log
  /** Told of each certificate that is presented, as PEM. */
  readonly noteCertificate: (pem: string) => void
}

export type LiveWebhook = { readonly address: string; close(): Promise<void> }

/** Judges resources before they are stored. Throws StartFailure for files that can't be used. */
export async function openWebhook(config: WebhookConfig, parts: WebhookParts): Promise<LiveWebhook> {
  const { log, noteCertificate } = parts
  let server: WebhookServer | undefined
  let tls: WebhookTls | undefined
  const readTls = async (): Promise<void> => {
    const read = await tlsOf(config)
    if ('problems' in read) {
      if (!server) throw new StartFailure(read.problems)
      log('error', 'webhook certificate refused, the old one stays', { problems: read.problems })
      return
    }
    try {
      server?.updateTls(read)
    } catch (error) {
      log('error', 'webhook certificate refused, the old one stays', { problem: messageOf(error) })
      return
    }
    tls = read
    noteCertificate(read.certificate)
  }
  const watch = await watched([config.certificate, config.key], readTls, 'webhook certificate', log)
  try {
    if (!tls) throw new Error('the certificate was not read')
    server = await startWebhookServer({
      listen: config.listen,
      tls,
      review: reviewing(parts.judge),
      warn: (message) => log('error', 'a review failed', { problem: message }),
    })
  } catch (error) {
    watch.close()
    throw new StartFailure([`webhook: ${messageOf(error)}`])
  }
  const running = server
  return { address: running.address, close: () => running.close().finally(() => watch.close()) }
}

/** One at a time, in the order of arrival, between calls. Those that wait are bounded, and so is their time. */
export function reviewing(
  judge: Judge,
  limits: { readonly reviews: number; readonly ms: number } = { reviews: MAX_REVIEWS, ms: REVIEW_MS },
): (request: ReviewRequest) => Promise<Outcome> {
  let last: Promise<unknown> = Promise.resolve()
  let count = 0
  return async (request) => {
    // Who takes one away, or writes a status, says nothing new.
    const isNews = request.operation === 'CREATE' || request.operation === 'UPDATE'
    if (!isNews || request.subResource !== '') return { allowed: true, warnings: [] }
    if (count >= limits.reviews) return 'busy'
    count++
    const endMs = performance.now() + limits.ms
    let tookMs = 0
    const mine = last.then(async () => {
      const startMs = performance.now()
      try {
        return await withinTime(judge(request), endMs)
      } finally {
        tookMs = performance.now() - startMs
      }
    })
    last = mine
      .catch(() => undefined)
      .then(() => sleep(Math.min(MOST_REST_MS, tookMs * REST), undefined, { ref: false }))
    try {
      return await mine
    } finally {
      count--
    }
  }
}

async function tlsOf({
  certificate,
  key,
}: WebhookConfig): Promise<WebhookTls | { readonly problems: readonly string[] }> {
  const problems: string[] = []
  const textOf = async (option: string, path: string): Promise<string> => {
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (read.ok) return read.bytes.toString()
    problems.push(`webhook.${option}: ${read.problem}`)
    return ''
  }
  const read = { certificate: await textOf('certificate', certificate), key: await textOf('key', key) }
  return problems.length > 0 ? { problems } : read
}
