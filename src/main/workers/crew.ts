import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, backoffMs } from '../../audit/backoff.js'
import { type LiveLog, type Log, messageOf, StartFailure } from '../log.js'
import type { Lines } from './lines.js'
import type { Answer, Beginning, FromWorker, Question, ToWorker } from './protocol.js'
import { type Exit, Worker } from './worker.js'

export type CrewParts = {
  readonly count: number
  readonly beginningOf: (number: number) => Beginning
  /** What one worker takes at most, of each listener. */
  readonly connections: number
  /** Where the workers' security events and logs go. */
  readonly events: Lines
  readonly logs: Lines
  /** Takes no more connections of that listener. */
  readonly shut: (listener: string) => void
  readonly log: Log
  readonly liveLog: Pick<LiveLog, 'setLevel' | 'status'>
}

/** What became of a start. */
type Outcome =
  | { readonly ok: true; readonly admin: string | undefined; readonly public: string | undefined }
  | { readonly ok: false; readonly problems: readonly string[] }

const RESTART: Backoff = { firstMs: 200, mostMs: 30_000 }
/** A worker that lived this long did not fail at its start. */
const SOUND_MS = 60_000
/** From the first worker that can't start until what the others found is told without the rest. */
const LAST_PROBLEMS_MS = 5000
const LOOK_EVERY_MS = 1000
/** A worker that was silent at so many looks in a row hangs. */
const MOST_SILENT_LOOKS = 10
/** For what one worker is asked. */
const ANSWER_MS = 3000

/** The workers, from their first start to their end: one that dies is started again. */
export class Crew {
  readonly #parts: CrewParts
  readonly #workers = new Map<number, Worker>()
  readonly #failures = new Map<number, number>()
  readonly #restarts = new Map<number, number>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #awaited = new Map<Worker, (outcome: Outcome) => void>()
  readonly #watch: NodeJS.Timeout
  #phase: 'starting' | 'running' | 'stopping' = 'starting'
  #isFollowed = false

  constructor(parts: CrewParts) {
    this.#parts = parts
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS).unref()
  }

  /** What the first worker serves. Throws StartFailure with the problems of all, each once; then none is left. */
  async start(): Promise<{ readonly admin: string | undefined; readonly public: string | undefined }> {
    const numbers = Array.from({ length: this.#parts.count }, (_, index) => index + 1)
    const problems = new Set<string>()
    const starts = numbers.map(async (number) => {
      this.#restarts.set(number, 0)
      const outcome = await this.#launch(number)
      if (!outcome.ok) for (const problem of outcome.problems) problems.add(problem)
      return outcome
    })
    const firstFailure = Promise.any(
      starts.map(async (start) => {
        if ((await start).ok) throw new Error('it is no failure')
      }),
    )
    const lastWords = firstFailure.then(
      () => sleep(LAST_PROBLEMS_MS, undefined, { ref: false }),
      () => undefined,
    )
    await Promise.race([Promise.all(starts), lastWords])
    const [first] = await Promise.all(starts.slice(0, problems.size > 0 ? 0 : 1))
    if (problems.size > 0 || !first?.ok) {
      await this.kill()
      throw new StartFailure([...problems])
    }
    this.#phase = 'running'
    return first
  }

  /** Every worker decides. */
  get isReady(): boolean {
    const open = [...this.#workers.values()]
    return (
      this.#phase === 'running' &&
      open.length === this.#parts.count &&
      open.every((worker) => worker.isOpen && worker.isReady)
    )
  }

  /** By number: whether the worker is there, and how often it was started again. */
  figures(): ReadonlyMap<number, { readonly isOpen: boolean; readonly restarts: number }> {
    return new Map(
      Array.from(this.#restarts, ([number, restarts]) => [
        number,
        { isOpen: this.#workers.get(number)?.isOpen === true, restarts },
      ]),
    )
  }

  /** Gives a connection to the worker that has the fewest; without one it is closed. */
  give(listener: string, socket: Socket): void {
    const takers = this.#open().filter(({ handing }) => handing.takes(listener))
    const [first] = takers
    if (!first) return void socket.destroy()
    const best = takers.reduce(
      (least, worker) => (worker.handing.open(listener) < least.handing.open(listener) ? worker : least),
      first,
    )
    if (best.handing.open(listener) >= this.#parts.connections) return void socket.destroy()
    best.handing.give({ listener, socket })
  }

  /** Asks every open worker but `except`; undefined for one that did not answer in time. */
  async gather(question: Question, except?: number): Promise<Map<number, Answer | undefined>> {
    const asked = this.#open().filter(({ number }) => number !== except)
    const answers = await Promise.all(
      asked.map(async (worker) => [worker.number, await worker.ask(question, ANSWER_MS)] as const),
    )
    return new Map(answers)
  }

  tellAll(message: ToWorker, except?: number): void {
    for (const worker of this.#open()) if (worker.number !== except) worker.tell(message)
  }

  /** Drains every worker and waits for their ends. */
  async stop(): Promise<void> {
    this.#phase = 'stopping'
    for (const timer of this.#timers) clearTimeout(timer)
    const workers = [...this.#workers.values()]
    for (const worker of workers) {
      if (worker.isOpen) worker.tell({ kind: 'stop' })
      else worker.kill()
    }
    await this.#gone(workers)
  }

  /** Ends every worker now. */
  async kill(): Promise<void> {
    this.#phase = 'stopping'
    const workers = [...this.#workers.values()]
    for (const worker of workers) worker.kill()
    await this.#gone(workers)
  }

  async #gone(workers: readonly Worker[]): Promise<void> {
    await Promise.all(workers.map(({ ended }) => ended))
    clearInterval(this.#watch)
  }

  #open(): Worker[] {
    return [...this.#workers.values()].filter(({ isOpen }) => isOpen)
  }

  /** Starts the process of that number; settles once it is open or can't be. */
  #launch(number: number): Promise<Outcome> {
    let worker: Worker
    try {
      worker = new Worker(number, {
        message: (message) => this.#heard(worker, message),
        exit: (exit) => this.#ended(worker, exit),
      })
    } catch (error) {
      if (this.#phase === 'running') this.#restartIn(number, RESTART.mostMs)
      return Promise.resolve({ ok: false, problems: [`worker ${number}: ${messageOf(error)}`] })
    }
    this.#workers.set(number, worker)
    const { stdout, stderr } = worker.child
    if (stdout) void this.#parts.events.follow(stdout).then((torn) => this.#tellTorn(number, torn))
    if (stderr) void this.#parts.logs.follow(stderr)
    return new Promise((resolve) => {
      this.#awaited.set(worker, resolve)
      worker.tell(this.#parts.beginningOf(number))
    })
  }

  #tellTorn(worker: number, bytes: number): void {
    if (bytes === 0) return
    this.#parts.log('error', 'a security event was cut off by the end of its worker', { worker, bytes })
  }

  #heard(worker: Worker, message: FromWorker): void {
    const { number, handing } = worker
    switch (message.kind) {
      case 'opened':
        return this.#opened(worker, message)
      case 'failed':
        return this.#settle(worker, { ok: false, problems: message.problems })
      case 'alive':
        worker.silentLooks = 0
        worker.isReady = message.ready
        return
      case 'took':
        return handing.took()
      case 'left':
        return handing.left(message.listener)
      case 'shutting':
        this.#parts.shut(message.listener)
        return handing.shut(message.listener, () => worker.tell({ kind: 'shut', listener: message.listener }))
      case 'answer':
        return worker.answered(message.id, message.answer)
      case 'ask-others':
        return void this.gather(message.question, number).then((answers) =>
          worker.tell({ kind: 'others', id: message.id, answers }),
        )
      case 'log-level':
        this.#parts.liveLog.setLevel(message.level, message.forMs)
        return this.tellAll(message, number)
      case 'following':
        this.#isFollowed = message.on
        return this.tellAll(message, number)
      case 'event':
        return this.#workers.get(1)?.tell(message)
    }
  }

  #opened(
    worker: Worker,
    opened: { readonly admin: string | undefined; readonly public: string | undefined },
  ): void {
    worker.isOpen = true
    this.#settle(worker, { ok: true, admin: opened.admin, public: opened.public })
    if (this.#phase !== 'running') return
    this.#parts.log('info', 'the worker is back', { worker: worker.number })
    const { level, configured, untilMs } = this.#parts.liveLog.status()
    if (level !== configured) {
      const forMs = untilMs === undefined ? undefined : Math.max(1, untilMs - Date.now())
      worker.tell({ kind: 'log-level', level, forMs })
    }
    if (this.#isFollowed && worker.number !== 1) worker.tell({ kind: 'following', on: true })
  }

  #settle(worker: Worker, outcome: Outcome): void {
    const awaited = this.#awaited.get(worker)
    this.#awaited.delete(worker)
    awaited?.(outcome)
  }

  #ended(worker: Worker, exit: Exit): void {
    const { number } = worker
    this.#settle(worker, { ok: false, problems: [`worker ${number} ${howEnded(exit)} before it was open`] })
    this.#workers.delete(number)
    for (const { listener, socket } of worker.handing.lost()) this.give(listener, socket)
    if (this.#phase === 'stopping' && exit.code !== 0 && !worker.isKilled) {
      this.#parts.log('warn', `the worker ${howEnded(exit)} while it was stopping`, { worker: number })
    }
    if (this.#phase !== 'running') return
    if (number === 1 && this.#isFollowed) {
      this.#isFollowed = false
      this.tellAll({ kind: 'following', on: false })
    }
    const lived = performance.now() - worker.startedMs
    const failures = lived >= SOUND_MS ? 1 : (this.#failures.get(number) ?? 0) + 1
    const waitMs = Math.round(backoffMs(failures, RESTART, Math.random()))
    this.#failures.set(number, failures)
    this.#parts.log('error', `the worker ${howEnded(exit)} and is started again`, {
      worker: number,
      pid: worker.child.pid,
      inMs: waitMs,
    })
    this.#restartIn(number, waitMs)
  }

  #restartIn(number: number, waitMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#restarts.set(number, (this.#restarts.get(number) ?? 0) + 1)
      void this.#launch(number).then((outcome) => {
        if (outcome.ok || this.#phase !== 'running') return
        this.#parts.log('error', 'the worker can not start', { worker: number, problems: outcome.problems })
      })
    }, waitMs)
    this.#timers.add(timer)
  }

  /** A look that comes late, as after a sleep of the whole machine, counts no more than any other. */
  #look(): void {
    for (const worker of this.#open()) {
      if (++worker.silentLooks <= MOST_SILENT_LOOKS) continue
      this.#parts.log('error', 'the worker does not answer any more and is ended', {
        worker: worker.number,
        pid: worker.child.pid,
      })
      worker.kill()
      worker.isOpen = false
    }
  }
}

function howEnded({ code, signal }: Exit): string {
  if (signal !== null) return `was ended by ${signal}`
  return code === null ? 'could not be made' : `ended with code ${code}`
}
