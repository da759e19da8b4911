/** Measures, and puts what it found into bench/RESULTS.md; `--only a,b` measures some sections. */
import { measureDecisions } from './decisions.js'
import { measureEnvoy } from './envoy.js'
import { measureFlood } from './flood.js'
import { measureFloods } from './floods.js'
import { measureLatency } from './latency.js'
import { measureMatrix } from './matrix.js'
import { measureNodeVersions } from './node-versions.js'
import { measureReload } from './reload.js'
import { type Section, writeSection } from './report.js'
import { measureScale } from './scale.js'
import { measureState } from './state.js'
import { measureTelemetry } from './telemetry.js'
import { measureWorkers } from './workers.js'

/** In the order of the report. */
const SECTIONS: readonly Section[] = [
  { name: 'decisions', measure: measureDecisions },
  { name: 'latency', measure: measureLatency },
  { name: 'envoy', measure: measureEnvoy },
  { name: 'workers', measure: measureWorkers },
  { name: 'scale', measure: measureScale },
  { name: 'matrix', measure: measureMatrix },
  { name: 'reload', measure: measureReload },
  { name: 'flood', measure: measureFlood },
  { name: 'attacks', measure: measureFloods },
  { name: 'state', measure: measureState },
  { name: 'telemetry', measure: measureTelemetry },
  { name: 'node-versions', measure: measureNodeVersions },
]

const names = SECTIONS.map(({ name }) => name)
const [flag, list = ''] = process.argv.slice(2)
const only = flag === undefined ? names : list.split(',')
const unknown = only.filter((name) => !names.includes(name))
if ((flag !== undefined && flag !== '--only') || unknown.length > 0) {
  process.stderr.write(`usage: bench [--only SECTION,...]; sections: ${names.join(', ')}\n`)
  process.exit(2)
}
/** What fails keeps its old section, and the others are measured all the same. */
const failed: string[] = []
for (const { name, measure } of SECTIONS) {
  if (!only.includes(name)) continue
  const startedMs = performance.now()
  try {
    const text = await measure()
    writeSection(name, text, names)
    process.stdout.write(`${text}\n`)
  } catch (error) {
    failed.push(name)
    process.stderr.write(`${name}: ${error instanceof Error ? error.stack : String(error)}\n`)
  }
  process.stderr.write(`${name}: ${((performance.now() - startedMs) / 1000).toFixed(0)} s\n`)
}
if (failed.length > 0) process.stderr.write(`not measured: ${failed.join(', ')}\n`)
process.exit(failed.length > 0 ? 1 : 0)
