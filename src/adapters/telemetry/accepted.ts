import type { Metrics } from './metrics.js'

/** The two forms that /metrics has. */
export type MetricsForm = 'Prometheus' | 'OpenMetrics'

type Range = { readonly type: string; readonly version: string | undefined; readonly quality: number }

/** Longest header that is looked at, and ranges in it. */
const MAX_ACCEPT_CHARACTERS = 2048
const MAX_RANGES = 32

const FORMS: readonly { readonly form: MetricsForm; readonly type: string; readonly version: string }[] = [
  { form: 'Prometheus', type: 'text/plain', version: '0.0.4' },
  { form: 'OpenMetrics', type: 'application/openmetrics-text', version: '1.0.0' },
]

/**
 * The form that an `Accept` header prefers; Prometheus text where it has no preference, accepts neither, or can't be
 * read: a scrape that can be shown is better than none. Source: RFC 9110 12.5.1.
 */
export function acceptedForm(accept: string | undefined): MetricsForm {
  const ranges = (accept ?? '').slice(0, MAX_ACCEPT_CHARACTERS).split(',', MAX_RANGES).flatMap(readRange)
  const [text, open] = FORMS.map(({ type, version }) => qualityOf(type, version, ranges))
  return (open ?? 0) > (text ?? 0) ? 'OpenMetrics' : 'Prometheus'
}

/** What is measured now, in the form that is preferred. */
export function answerMetrics(
  metrics: Pick<Metrics, 'text' | 'openMetrics'>,
  accept: string | undefined,
): { readonly contentType: string; readonly body: string } {
  return acceptedForm(accept) === 'OpenMetrics'
    ? {
        contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
        body: metrics.openMetrics(),
      }
    : { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: metrics.text() }
}

/** Of the most specific range that fits; 0 where none does. */
function qualityOf(type: string, version: string, ranges: readonly Range[]): number {
  let found = { specific: 0, quality: 0 }
  for (const range of ranges) {
    const specific = fits(range, type, version)
    if (specific > found.specific || (specific === found.specific && range.quality > found.quality)) {
      found = { specific, quality: specific === 0 ? 0 : range.quality }
    }
  }
  return found.quality
}

function fits(range: Range, type: string, version: string): 0 | 1 | 2 | 3 | 4 {
  if (range.type === type) {
    if (range.version === undefined) return 3
    return range.version === version ? 4 : 0
  }
  if (range.type === `${type.slice(0, type.indexOf('/'))}/*`) return 2
  return range.type === '*/*' ? 1 : 0
}

function readRange(text: string): Range[] {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  let version: string | undefined
  let quality = 1
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=', 2).map((part) => part.trim())
    if (name === 'version') version = value.replaceAll('"', '')
    if (name === 'q') {
      if (!/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(value)) return []
      quality = Number(value)
    }
  }
  return type === '' ? [] : [{ type, version, quality }]
}
