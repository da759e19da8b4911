import { setTimeout as sleep } from 'node:timers/promises'
import { LOAD } from './cluster-mesh.js'
import { kubectl, until } from './kubectl.js'

export type Line = {
  /** When it began, milliseconds since the epoch. */
  readonly at: number
  readonly kind: 'allowed' | 'denied'
  readonly status: number | string
  readonly reason?: string
  /** Milliseconds. */
  readonly took: number
}

export type Tally = {
  readonly allowed: number
  readonly denied: number
  /** An allowed call that was refused by a decision, or a denied one that got through. */
  readonly wrong: readonly Line[]
  /** Calls that got no decision: neither what was expected nor its opposite. */
  readonly failed: readonly Line[]
  /** Of allowed calls, milliseconds. */
  readonly slowest: number
  /** What the Envoys on both sides wrote about calls that failed. */
  readonly told: readonly string[]
}

/** What a call may still be under way when the change is over, milliseconds. */
const SETTLE_MS = 5500

/** Starts the pod that calls without end. */
export async function startLoad(): Promise<void> {
  await kubectl(['scale', '-n', 'shop', `deployment/${LOAD.name}`, '--replicas=1'])
  await kubectl(['rollout', 'status', '-n', 'shop', `deployment/${LOAD.name}`, '--timeout=60s'])
  await steady()
}

/** Waits until for three seconds every answer was as it should be, so that each replica has been asked. */
export async function steady(): Promise<void> {
  await until('steady load', 45_000, async () => {
    const { allowed, denied, wrong, failed } = tally(await linesSince(Date.now() - 3000))
    return allowed > 30 && denied > 30 && wrong.length + failed.length === 0
  })
}

/** Makes a change while calls go on, and says what came of the calls from its beginning until a while after. */
export async function underLoad(change: () => Promise<void>): Promise<Tally> {
  const startedMs = Date.now()
  await change()
  await sleep(SETTLE_MS)
  const result = tally(await linesSince(startedMs))
  return result.failed.length === 0 ? result : { ...result, told: await failuresOfEnvoys(startedMs) }
}

async function failuresOfEnvoys(sinceMs: number): Promise<readonly string[]> {
  const told: string[] = []
  for (const name of [LOAD.name, 'inventory-service']) {
    const since = `--since-time=${secondOf(sinceMs)}`
    const { stdout } = await kubectl(['logs', '-n', 'shop', `deployment/${name}`, '-c', 'envoy', since])
    told.push(...stdout.split('\n').filter((line) => line.includes('"status":503')))
  }
  return told
}

/** The whole second of a time, as kubectl takes it. */
function secondOf(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

export async function linesSince(sinceMs: number): Promise<readonly Line[]> {
  const { stdout } = await kubectl([
    'logs',
    '-n',
    'shop',
    `deployment/${LOAD.name}`,
    '-c',
    'application',
    `--since-time=${secondOf(sinceMs)}`,
  ])
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line): Line => JSON.parse(line))
    .filter(({ at }) => at >= sinceMs)
}

/** Source of the statuses: docs/decisions.md; 403 is a decision, 503 the lack of one. */
function tally(lines: readonly Line[]): Tally {
  const good = (line: Line): boolean => line.status === (line.kind === 'allowed' ? 200 : 403)
  const wrong = (line: Line): boolean =>
    line.kind === 'allowed'
      ? typeof line.status === 'number' && [401, 403, 429].includes(line.status)
      : typeof line.status === 'number' && line.status < 400
  const of = (kind: Line['kind']): readonly Line[] => lines.filter((line) => line.kind === kind)
  return {
    allowed: of('allowed').length,
    denied: of('denied').length,
    wrong: lines.filter(wrong),
    failed: lines.filter((line) => !good(line) && !wrong(line)),
    slowest: Math.max(0, ...of('allowed').map(({ took }) => took)),
    told: [],
  }
}
