import { type ChildProcess, fork } from 'node:child_process'
import { Asking } from './asking.js'
import { Handing } from './handing.js'
import { type Answer, type FromWorker, isFromWorker, type Question, type ToWorker } from './protocol.js'

const PROGRAM = new URL('./worker-process.js', import.meta.url)

/** How it ended. */
export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export type WorkerEvents = {
  readonly message: (message: FromWorker) => void
  readonly exit: (exit: Exit) => void
}

/** One process of a worker: when it dies, another `Worker` takes the number over. */
export class Worker {
  readonly number: number
  readonly child: ChildProcess
  readonly handing: Handing
  readonly startedMs = performance.now()
  readonly #asking = new Asking()
  /** It is open and takes connections. */
  isOpen = false
  isReady = false
  /** By this process. */
  isKilled = false
  /** Looks since it last said that it is alive. */
  silentLooks = 0
  /** Settles with its end. */
  readonly ended: Promise<Exit>

  /** Throws where the system makes no process. */
  constructor(number: number, events: WorkerEvents) {
    this.number = number
    this.child = fork(PROGRAM, [`worker-${number}`], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Maps and sets of the configuration arrive as what they are.
      serialization: 'advanced',
    })
    this.handing = new Handing(this.child)
    this.child.on('message', (message: unknown) => {
      if (isFromWorker(message)) events.message(message)
    })
    this.ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.isOpen = false
        this.isReady = false
        this.#asking.giveUp()
        events.exit(exit)
        resolve(exit)
      }
      this.child.once('exit', (code, signal) => end({ code, signal }))
      // A process that could not be made has no exit. Other errors are of a channel whose end is told.
      this.child.on('error', () => {
        if (this.child.pid === undefined) end({ code: null, signal: null })
      })
    })
  }

  tell(message: ToWorker): void {
    if (this.child.connected) this.child.send(message, () => undefined)
  }

  ask(question: Question, withinMs: number): Promise<Answer | undefined> {
    return this.#asking.ask((id) => this.tell({ kind: 'question', id, question }), withinMs)
  }

  answered(id: number, answer: Answer): void {
    this.#asking.answer(id, answer)
  }

  kill(): void {
    this.isKilled = true
    this.child.kill('SIGKILL')
  }
}
