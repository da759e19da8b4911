import type { Readiness } from '../../adapters/http/health.js'
import { answerMetrics } from '../../adapters/telemetry/accepted.js'
import { writeOpenMetrics, writePrometheus } from '../../adapters/telemetry/exposition.js'
import type { Family } from '../../adapters/telemetry/family.js'
import { PROCESS_METRICS } from '../../adapters/telemetry/process-metrics.js'
import type { Crew } from './crew.js'
import { mergedFamilies } from './families.js'

/** Ready once every worker is. What each says of itself is under its number. */
export async function readinessOf(crew: Pick<Crew, 'isReady' | 'gather' | 'figures'>): Promise<Readiness> {
  const answers = await crew.gather('readiness')
  const workers = Object.fromEntries(
    Array.from(crew.figures(), ([number, { isOpen }]) => {
      const answer = answers.get(number)
      if (answer?.to === 'readiness') {
        return [number, { ready: answer.readiness.ready, ...answer.readiness.detail }]
      }
      return [number, { ready: false, problem: isOpen ? 'it does not answer' : 'it is not there' }]
    }),
  )
  return {
    ready: crew.isReady && Object.values(workers).every(({ ready }) => ready),
    detail: { workers },
  }
}

/** Every series of every worker, and of the process that keeps them. */
export async function metricsOf(
  crew: Pick<Crew, 'gather' | 'figures'>,
  accept: string | undefined,
): Promise<{ readonly contentType: string; readonly body: string }> {
  const answers = await crew.gather('families')
  const processes = new Map<string, readonly Family[]>()
  for (const [number, answer] of answers) {
    if (answer?.to === 'families') processes.set(String(number), answer.families)
  }
  processes.set('supervisor', ownFamilies())
  const families = [...mergedFamilies(processes), ...familiesOfCrew(crew.figures(), processes)]
  return answerMetrics(
    { text: () => writePrometheus(families), openMetrics: () => writeOpenMetrics(families) },
    accept,
  )
}

function familiesOfCrew(
  figures: ReturnType<Crew['figures']>,
  answered: ReadonlyMap<string, unknown>,
): Family[] {
  return [
    {
      name: 'portcullis_worker_up',
      help: '1 where the worker told its metrics for this scrape; else its series are missing.',
      type: 'gauge',
      samples: Array.from(figures.keys(), (number) => ({
        labels: { worker: String(number) },
        value: answered.has(String(number)) ? 1 : 0,
      })),
    },
    {
      name: 'portcullis_worker_restarts_total',
      help: 'How often the worker was started again.',
      type: 'counter',
      samples: Array.from(figures, ([number, { restarts }]) => ({
        labels: { worker: String(number) },
        value: restarts,
      })),
    },
  ]
}

function ownFamilies(): Family[] {
  return PROCESS_METRICS.map(({ name, help, type, read }) => {
    const value = read()
    return { name, help, type, samples: typeof value === 'number' ? [{ value }] : [...(value ?? [])] }
  })
}
