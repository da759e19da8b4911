import { type Exemplar, type Family, type Sample, unitOf } from './family.js'

/** The text format of Prometheus, version 0.0.4. */
export function writePrometheus(families: readonly Family[]): string {
  const lines = families.flatMap((family) => {
    const { name, help, type } = family
    const head = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`]
    return [...head, ...samplesOf(family, writeNumber, () => '')]
  })
  return `${lines.join('\n')}\n`
}

/** OpenMetrics 1.0.0: counters are named without `_total`, buckets show exemplars, the end is marked. */
export function writeOpenMetrics(families: readonly Family[]): string {
  const lines = families.flatMap((family) => {
    const { help, type } = family
    const name = type === 'counter' ? family.name.replace(/_total$/, '') : family.name
    const unit = unitOf(family.name)
    return [
      `# TYPE ${name} ${type}`,
      ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
      `# HELP ${name} ${escapeLabel(help)}`,
      ...samplesOf(family, writeFloat, writeExemplar),
    ]
  })
  return `${[...lines, '# EOF'].join('\n')}\n`
}

function samplesOf(
  family: Family,
  bound: (value: number) => string,
  exemplarText: (exemplar: Exemplar) => string,
): string[] {
  const { name } = family
  if (family.type !== 'histogram')
    return family.samples.map(({ labels, value }) => sample(name, labels, value))
  return family.series.flatMap(({ labels, buckets, sum }) => {
    let below = 0
    const lines = buckets.map(({ upperBound, count, exemplar }) => {
      below += count
      const line = sample(`${name}_bucket`, { ...labels, le: bound(upperBound) }, below)
      return exemplar ? line + exemplarText(exemplar) : line
    })
    return [...lines, sample(`${name}_sum`, labels, sum), sample(`${name}_count`, labels, below)]
  })
}

function writeExemplar({ traceId, value, atMs }: Exemplar): string {
  return ` # {trace_id="${escapeLabel(traceId)}"} ${writeNumber(value)} ${writeNumber(atMs / 1000)}`
}

function sample(name: string, labels: Sample['labels'], value: number): string {
  const written = Object.entries(labels ?? {}).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  return `${name}${written.length > 0 ? `{${written.join(',')}}` : ''} ${writeNumber(value)}`
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** What no terminal should be shown becomes U+FFFD; lone surrogates become it when the text is sent. */
function escapeLabel(text: string): string {
  return escapeHelp(text)
    .replaceAll('"', '\\"')
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\u{fffd}')
}

function writeNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

/** As OpenMetrics wants bounds: never without a point. Source: OpenMetrics 1.0, canonical numbers. */
function writeFloat(value: number): string {
  return Number.isInteger(value) ? `${value}.0` : writeNumber(value)
}
