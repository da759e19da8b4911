export type Tell = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, string | number>>,
) => void

/** What people are told of a sink's troubles: each once, when it begins and when it is over. */
export type Notices = {
  /** Undefined: sending goes well. `pending` events are not sent. */
  readonly sending: (problem: string | undefined, pending: number) => void
  /** Undefined: the spool takes batches. `inMemory` events are not in it. */
  readonly spool: (problem: string | undefined, inMemory: number) => void
  /** Undefined: delivered batches leave the spool. */
  readonly removing: (problem: string | undefined) => void
  readonly split: () => void
  /** So many in all. Told when their number has doubled, or when it is the last time. */
  readonly lost: (lost: number, problem: string, isLast?: boolean) => void
  /** Troubles of now. */
  readonly problem: () => string | undefined
}

export function createNotices(tell: Tell): Notices {
  let sendProblem: string | undefined
  let spoolProblem: string | undefined
  let removeProblem: string | undefined
  let hasToldSplit = false
  let toldLost = 0
  return {
    sending: (problem, pending) => {
      if (problem === sendProblem) return
      sendProblem = problem
      if (problem === undefined) tell('info', 'the collector takes events again', { pending })
      else tell('warn', 'the collector does not take events', { problem, pending })
    },
    spool: (problem, inMemory) => {
      if (problem === spoolProblem) return
      spoolProblem = problem
      if (problem === undefined) tell('info', 'the spool takes batches again')
      else tell('error', problem, { inMemory })
    },
    removing: (problem) => {
      if (problem !== undefined && problem !== removeProblem) {
        tell('error', 'delivered batches stay in the spool and may be sent again by the next start', {
          problem,
        })
      }
      removeProblem = problem
    },
    split: () => {
      if (!hasToldSplit) tell('warn', 'the collector finds batches too large: they are sent in halves')
      hasToldSplit = true
    },
    lost: (lost, problem, isLast = false) => {
      if (!isLast && lost < 2 * toldLost) return
      toldLost = lost
      tell('error', 'security events are lost', { lost, problem })
    },
    problem: () => [sendProblem, spoolProblem].filter((each) => each !== undefined).join('; ') || undefined,
  }
}
