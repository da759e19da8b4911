import { closeSync, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { openFileSink } from '../../src/main/audit/file-sink.js'
import type { FileSinkConfig } from '../../src/config/audit.js'

/*
 * A process that writes events to a log until it is ended: `node audit-writer.ts SETTINGS`, a JSON object. `notes` gets
 * one line for each event: `t N MS` when it is taken, `k N` when it is kept, `d` when a drain is over. They are written
 * at once and into the kernel, so that they outlive the process.
 */
type Settings = {
  readonly config: Omit<FileSinkConfig, 'recipients'>
  readonly recipients: Readonly<Record<string, string>>
  readonly notes: string
  readonly from: number
  /** Characters of an event. */
  readonly size: number
  readonly perTick: number
}

const settings: Settings = JSON.parse(process.argv[2] ?? '') as Settings
const { notes, size, perTick } = settings
const config = { ...settings.config, recipients: new Map(Object.entries(settings.recipients)) }
const sink = await openFileSink(config, {
  name: 'File 0',
  render: ({ line }) => line,
  classification: () => undefined,
  appendEntries: undefined,
  log: (level, message, fields) => console.error(level, message, JSON.stringify(fields)),
  nowMs: Date.now,
})
const fd = openSync(notes, 'a')
const note = (text: string): void => void writeSync(fd, `${text}\n`)
let n = settings.from
let isEnding = false

function takeSome(): void {
  if (isEnding) return
  for (let i = 0; i < perTick && sink.hasRoom(); i++) {
    const number = n++
    const classification = number % 4 === 0 ? 'restricted' : undefined
    const line = `{"n":${number},"text":"${'x'.repeat(size)}"}`
    note(`t ${number} ${Date.now()}`)
    const taken = sink.take({ line, classification, atMs: 0 })
    if (taken) void taken.then((outcome) => note(`${outcome === 'kept' ? 'k' : 'l'} ${number}`))
  }
  setImmediate(takeSome)
}

process.on('SIGTERM', () => {
  isEnding = true
  void sink.drain(10_000).then(() => {
    note('d')
    closeSync(fd)
    process.exit(0)
  })
})
console.log('writing')
// Ends with its parent, whatever becomes of that.
createInterface(process.stdin).on('close', () => process.exit(1))
takeSome()
