import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { type Running, start } from '../../main.js'
import { type LogLevel, StartFailure } from '../log.js'
import { Asking } from './asking.js'
import { FollowedEvents } from './followers.js'
import { Inbox } from './inbox.js'
import {
  ALIVE_EVERY_MS,
  type Answer,
  type Beginning,
  type FromWorker,
  type Question,
  type ToWorker,
} from './protocol.js'
import type { Others } from './team.js'

/** How long the first worker waits for what the others answer; the supervisor waits less for each. */
const OTHERS_MS = 4000

export type WorkerIo = {
  readonly events: Writable
  /** Whole lines. */
  readonly log: (line: string) => void
  /** `sent`: it is on its way, or never will be. */
  readonly send: (message: FromWorker, sent: () => void) => void
}

/** One worker, from its beginning to its end. */
export class WorkerLife {
  readonly #io: WorkerIo
  readonly #inbox: Inbox
  readonly #others = new Asking<ReadonlyMap<number, Answer | undefined>>()
  readonly #followers = new Set<(line: string) => void>()
  #running: Running | undefined
  #events: FollowedEvents | undefined
  #alive: NodeJS.Timeout | undefined
  #end: () => void = () => undefined
  /** Settles once everything is closed. */
  readonly ended = new Promise<void>((resolve) => {
    this.#end = resolve
  })

  constructor(io: WorkerIo) {
    this.#io = io
    this.#inbox = new Inbox((message) => this.#tell(message))
  }

  take(message: ToWorker, socket: Socket | undefined): void {
    switch (message.kind) {
      case 'begin':
        return void this.#begin(message)
      case 'connection':
        return this.#inbox.receive(message.listener, socket)
      case 'shut':
        return this.#inbox.shut(message.listener)
      case 'question':
        return this.#answer(message.id, message.question)
      case 'others':
        return this.#others.answer(message.id, message.answers)
      case 'log-level':
        return void this.#running?.log.setLevel(message.level, message.forMs)
      case 'following':
        return message.on ? this.#events?.follow(this.#running?.recent) : this.#events?.stop()
      case 'event':
        for (const follower of this.#followers) follower(message.line)
        return
      case 'stop':
        return void this.#stop()
    }
  }

  async #begin({ number, config, dpopNonceKey, storePath }: Beginning): Promise<void> {
    try {
      const running = await start(config, {
        events: this.#io.events,
        log: this.#io.log,
        team: {
          number,
          arrivals: (listener) => this.#inbox.arrivals(listener),
          dpopNonceKey: Buffer.from(dpopNonceKey),
          storePath,
          others: this.#askOthers(),
        },
      })
      this.#running = running
      this.#events = new FollowedEvents(this.#io.send, running.log.of('workers'))
      this.#tell({ kind: 'opened', admin: running.admin, public: running.public })
      this.#sayAlive()
      this.#alive = setInterval(() => this.#sayAlive(), ALIVE_EVERY_MS)
    } catch (error) {
      // A bug ends the process with its stack.
      if (!(error instanceof StartFailure)) throw error
      this.#io.send({ kind: 'failed', problems: error.problems }, () => this.#end())
    }
  }

  async #stop(): Promise<void> {
    await this.#running?.stop()
    clearInterval(this.#alive)
    this.#end()
  }

  #sayAlive(): void {
    this.#tell({ kind: 'alive', ready: this.#running?.readiness().ready === true })
  }

  #answer(id: number, question: Question): void {
    const running = this.#running
    if (running) this.#tell({ kind: 'answer', id, answer: answerOf(question, running) })
  }

  /** What each of the others answers, by number. */
  async #ask(question: Question): Promise<(readonly [number, Answer | undefined])[]> {
    const answers = await this.#others.ask(
      (id) => this.#tell({ kind: 'ask-others', id, question }),
      OTHERS_MS,
    )
    if (!answers) throw new Error('the supervisor of the workers does not answer')
    return [...answers]
  }

  #askOthers(): Others {
    return {
      keys: async () => {
        const answers = await this.#ask('keys')
        return answers.flatMap(([, answer]) => (answer?.to === 'keys' ? answer.keys : []))
      },
      decisions: async () => {
        const told = await this.#ask('decisions')
        return {
          lines: told.flatMap(([, answer]) => (answer?.to === 'decisions' ? [answer.lines] : [])),
          silent: told.flatMap(([number, answer]) => (answer === undefined ? [number] : [])),
        }
      },
      follow: (listener) => {
        this.#followers.add(listener)
        if (this.#followers.size === 1) this.#tell({ kind: 'following', on: true })
        return () => {
          if (this.#followers.delete(listener) && this.#followers.size === 0) {
            this.#tell({ kind: 'following', on: false })
          }
        }
      },
      setLogLevel: (level: LogLevel, forMs) => this.#tell({ kind: 'log-level', level, forMs }),
    }
  }

  #tell(message: FromWorker): void {
    this.#io.send(message, () => undefined)
  }
}

function answerOf(question: Question, running: Running): Answer {
  if (question === 'readiness') return { to: question, readiness: running.readiness() }
  if (question === 'keys') return { to: question, keys: running.publishedKeys() }
  if (question === 'families') return { to: question, families: running.families() }
  return { to: question, lines: [...(running.recent?.newest() ?? [])] }
}
