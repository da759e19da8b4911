import { setTimeout as sleep } from 'node:timers/promises'

/** What the table shows of a security event. Source: FORMATS 5. */
export type SecurityEvent = {
  readonly decisionId: string
  readonly decision: 'allow' | 'deny' | 'challenge'
  readonly decisionReason: string
  readonly callerService?: string
  readonly targetService?: string
  readonly protocol?: string
  readonly rule?: string
  readonly ruleSource?: string
  readonly mode?: string
  readonly riskScore?: number
  readonly durationUs?: number
  readonly grantId?: string
  readonly auditLevel?: string
}

/** The security events that Portcullis wrote to standard output, in order. */
export class AuditTrail {
  readonly #events: SecurityEvent[] = []
  readonly #byId = new Map<string, SecurityEvent>()

  /** Lines that are no security event are none of ours. */
  readonly read = (line: string): void => {
    if (!line.startsWith('{')) return
    const event: SecurityEvent = JSON.parse(line)
    if (typeof event.decisionId !== 'string') return
    this.#events.push(event)
    this.#byId.set(event.decisionId, event)
  }

  get length(): number {
    return this.#events.length
  }

  get all(): readonly SecurityEvent[] {
    return this.#events
  }

  /** Undefined: it hasn't come yet. */
  known(decisionId: string): SecurityEvent | undefined {
    return this.#byId.get(decisionId)
  }

  /** The event may be written a moment after the answer. */
  withId(decisionId: string): Promise<SecurityEvent | undefined> {
    return soon(() => this.#byId.get(decisionId))
  }

  /** The latest since `position` that matches: for TCP, where no answer carries an id. */
  since(position: number, matches: (event: SecurityEvent) => boolean): Promise<SecurityEvent | undefined> {
    return soon(() => this.#events.slice(position).findLast(matches))
  }
}

/** How long an event may take to come through the pipe, milliseconds. */
const PATIENCE_MS = 2000

async function soon<T>(look: () => T | undefined): Promise<T | undefined> {
  const end = Date.now() + PATIENCE_MS
  for (;;) {
    const found = look()
    if (found !== undefined || Date.now() > end) return found
    await sleep(5)
  }
}
