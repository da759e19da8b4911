import { isJsonObject, parseStrictJsonBytes } from '../../identity/strict-json.js'

/** What became of one SET. `later`: it is not acknowledged and comes again. */
export type Taken =
  | { readonly outcome: 'taken'; readonly first: boolean }
  | { readonly outcome: 'refused'; readonly err: string; readonly description: string }
  | { readonly outcome: 'later'; readonly problem: string }

export type PollOptions = {
  readonly url: string
  /** Bearer token, asked for each time, since its file may change. */
  readonly token: () => string
  /** Between two polls that brought nothing. */
  readonly intervalMs: number
  /** Must not reject. */
  readonly take: (text: string) => Promise<Taken>
  readonly random: () => number
  /** Told of each new problem once. */
  readonly warn: (problem: string) => void
  /** How long the other side may hold an empty poll; milliseconds, default 30 s. */
  readonly longPollMs?: number
  /** How long it may take to answer at once; milliseconds, default 10 s. */
  readonly answerMs?: number
}

export type Poll = {
  /** Why the last poll brought nothing that it could have brought; undefined: none. */
  readonly problem: () => string | undefined
  /** Settles once nothing is under way any more. */
  close(): Promise<void>
}

const MAX_EVENTS = 100
/** `jti`s of SETs that were seen in this run, the newest, and UTF-16 units of one. */
const MAX_SEEN = 4096
const MAX_JTI = 256
const MAX_BYTES = 1024 * 1024
const MAX_BACKOFF_MS = 300_000
const LONG_POLL_MS = 30_000
const ANSWER_MS = 10_000

type Fate = { ack: string[]; setErrs: Record<string, { err: string; description: string }> }
type Polled =
  | { readonly kind: 'sets'; readonly sets: readonly (readonly [string, unknown])[]; readonly more: boolean }
  /** The time of a long poll ended. */
  | { readonly kind: 'held' }
  | { readonly kind: 'failed'; readonly problem: string; readonly tooLarge?: boolean }

/**
 * Fetches SETs, one poll at a time, and says with the next poll what became of each. A poll waits for events; whoever
 * holds one for too long is asked to answer the next at once, so that a hung server is told from a quiet one. After a
 * failure the wait doubles up to 5 minutes, with jitter. At most 1 MiB of an answer is read: after a larger one half as many events are
 * asked for at once, twice as many after each that fits. Redirects are failures.
 * Source: RFC 8936.
 */
export function startPoll(options: PollOptions): Poll {
  const { intervalMs, random, warn } = options
  const closing = new AbortController()
  const { signal } = closing
  let problem: string | undefined
  const run = async (): Promise<void> => {
    let fate = newFate()
    let failures = 0
    let atOnce = true
    let maxEvents = MAX_EVENTS
    const seen = new Set<string>()
    while (!signal.aborted) {
      const polled = await poll(options, fate, { atOnce, maxEvents }, signal)
      if (signal.aborted) return
      let trouble = polled.kind === 'failed' ? polled.problem : undefined
      let more = false
      const halved = polled.kind === 'failed' && polled.tooLarge === true && maxEvents > 1
      if (halved) {
        maxEvents = Math.floor(maxEvents / 2)
        more = true
      }
      if (polled.kind === 'sets') {
        maxEvents = Math.min(MAX_EVENTS, maxEvents * 2)
        // The other side has what was said with this poll, so it is not said again.
        fate = newFate()
        const taken = await takeAll(polled, options.take, fate, seen)
        trouble = taken.problem
        more = taken.news
      }
      if (trouble !== undefined && trouble !== problem) warn(trouble)
      problem = trouble
      failures = trouble === undefined || halved ? 0 : failures + 1
      atOnce = trouble !== undefined || polled.kind === 'held' || hasNews(fate)
      const waitMs =
        failures === 0 ? (more ? 0 : intervalMs) : Math.min(MAX_BACKOFF_MS, intervalMs * 2 ** failures)
      await sleep(waitMs * (failures === 0 ? 1 : 0.5 + random() / 2), signal)
    }
  }
  const running = run()
  return {
    problem: () => problem,
    close: async () => {
      closing.abort()
      await running
    },
  }
}

function newFate(): Fate {
  return { ack: [], setErrs: Object.create(null) }
}

function hasNews({ ack, setErrs }: Fate): boolean {
  return ack.length > 0 || Object.keys(setErrs).length > 0
}

/**
 * In their order. `problem`: the first that makes one come again. `news`: one of them was new, or new in this run and the
 * other side has more, so it is asked at once; who sends the same ones again and again is asked no sooner for it.
 */
async function takeAll(
  { sets, more }: Extract<Polled, { kind: 'sets' }>,
  take: PollOptions['take'],
  fate: Fate,
  seen: Set<string>,
): Promise<{ readonly problem: string | undefined; readonly news: boolean }> {
  let problem: string | undefined
  let news = false
  for (const [jti, text] of sets) {
    const taken = typeof text === 'string' ? await take(text) : NOT_TEXT
    if (taken.outcome === 'later') {
      problem ??= taken.problem
      continue
    }
    if (taken.outcome === 'taken') fate.ack.push(jti)
    else fate.setErrs[jti] = { err: taken.err, description: taken.description }
    const counts = more || (taken.outcome === 'taken' && taken.first)
    news = (see(jti, seen) && counts) || news
  }
  return { problem, news }
}

/** Whether it was not seen before in this run. */
function see(jti: string, seen: Set<string>): boolean {
  if (jti.length > MAX_JTI || seen.has(jti)) return false
  seen.add(jti)
  for (const oldest of seen) {
    if (seen.size <= MAX_SEEN) break
    seen.delete(oldest)
  }
  return true
}

const NOT_TEXT: Taken = { outcome: 'refused', err: 'invalid_request', description: 'not text' }

async function poll(
  { url, token, longPollMs = LONG_POLL_MS, answerMs = ANSWER_MS }: PollOptions,
  { ack, setErrs }: Fate,
  { atOnce, maxEvents }: { readonly atOnce: boolean; readonly maxEvents: number },
  signal: AbortSignal,
): Promise<Polled> {
  const limit = AbortSignal.timeout(atOnce ? answerMs : longPollMs)
  const body = {
    maxEvents,
    returnImmediately: atOnce,
    ...(ack.length > 0 ? { ack } : {}),
    ...(Object.keys(setErrs).length > 0 ? { setErrs } : {}),
  }
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'user-agent': 'portcullis',
        authorization: `Bearer ${token()}`,
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([limit, signal]),
    })
    if (response.status !== 200) {
      void response.body?.cancel().catch(ignore)
      return failed(`answered ${response.status}`)
    }
    const bytes = await readBounded(response)
    if (bytes === undefined) return { ...failed(`answered more than ${MAX_BYTES} bytes`), tooLarge: true }
    return readAnswer(bytes)
  } catch (error) {
    if (limit.aborted) return atOnce ? failed('no answer in time') : { kind: 'held' }
    return failed(`not reachable: ${codeOf(error)}`)
  }
}

function readAnswer(bytes: Buffer): Polled {
  const parsed = parseStrictJsonBytes(bytes)
  if (!parsed.ok || !isJsonObject(parsed.value)) return failed('did not answer strict JSON')
  const { sets, moreAvailable } = parsed.value
  if (!isJsonObject(sets)) return failed('answered without `sets`')
  return { kind: 'sets', sets: Object.entries(sets), more: moreAvailable === true }
}

async function readBounded(response: Response): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const read of response.body ?? []) {
    const chunk: unknown = read
    if (!(chunk instanceof Uint8Array)) continue
    size += chunk.length
    if (size > MAX_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms).unref()
    signal.addEventListener('abort', done)
  })
}

function failed(problem: string): Extract<Polled, { kind: 'failed' }> {
  return { kind: 'failed', problem }
}

/** The code alone: a message may quote a header. */
function codeOf(error: unknown): string {
  const code = memberOf(memberOf(error, 'cause'), 'code')
  return typeof code === 'string' ? code : 'the request failed'
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function ignore(): void {
  // Nobody reads it.
}
