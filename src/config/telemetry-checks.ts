import type { Pointer } from '../schema/problem.js'
import type { EffectiveConfiguration } from './schema.js'
import { checkHttpUrl } from './signal-checks.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

/** Options of a collector need one, and it must be one that may be told. */
export function checkTelemetry({ telemetry }: EffectiveConfiguration, tell: Tell): void {
  for (const signal of ['metrics', 'traces'] as const) {
    const { endpoint, headersFile, caFile } = telemetry[signal]
    const at = ['telemetry', signal]
    if (endpoint !== undefined) {
      checkHttpUrl(endpoint, [...at, 'endpoint'], tell)
      continue
    }
    for (const [option, value] of Object.entries({ headersFile, caFile })) {
      if (value === undefined) continue
      tell([...at, option], 'without-effect', `\`${option}\` says nothing without \`endpoint\``, 'key')
    }
  }
  const { endpoint, sampleRatio } = telemetry.traces
  if (endpoint === undefined && sampleRatio > 0) {
    const message = '`sampleRatio` says nothing without `endpoint`'
    tell(['telemetry', 'traces', 'sampleRatio'], 'without-effect', message, 'key')
  }
}

/** Least and most of its durations, as `checkBounds` takes them. */
export function boundsOfTelemetry({ telemetry }: EffectiveConfiguration) {
  return (['metrics', 'traces'] as const).flatMap((signal) => {
    const { timeout, interval } = telemetry[signal]
    const at: Pointer = ['telemetry', signal]
    return [
      { pointer: [...at, 'timeout'], text: timeout, least: '100ms', most: '1m' },
      { pointer: [...at, 'interval'], text: interval, least: '10ms', most: '1h' },
    ]
  })
}
