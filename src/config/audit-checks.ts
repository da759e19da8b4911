import { resolve } from 'node:path'
import type { Pointer } from '../schema/problem.js'
import type { EffectiveConfiguration } from './schema.js'
import { checkHttpUrl } from './signal-checks.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void
type Sink = EffectiveConfiguration['audit']['sinks'][number]

const FILE = [
  'file',
  'maxSize',
  'maxAge',
  'fsync',
  'flushInterval',
  'signingKeyFile',
  'checkpointInterval',
  'retention',
  'recipients',
  'keyRotation',
] as const
const HTTP = [
  'url',
  'tokenFile',
  'caFile',
  'timeout',
  'flushInterval',
  'batchEvents',
  'batchSize',
  'labels',
  'spool',
] as const
const OPTIONS_OF: Readonly<Record<Sink['type'], readonly (keyof Sink)[]>> = {
  Stdout: [],
  File: FILE,
  Http: HTTP,
  RedisStream: ['stream', 'maxLength'],
}
const OPTIONS = [...new Set(Object.values(OPTIONS_OF).flat())]

/** A name of a classification that is part of a file's name; DataPolicy has the same. */
const CLASSIFICATION = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/** Sinks that know what they need, and don't write where another does. */
export function checkAudit({ audit, store }: EffectiveConfiguration, tell: Tell): void {
  const taken = new Set<string>()
  const take = (pointer: Pointer, what: string): void => {
    if (taken.has(what)) tell(pointer, 'sink-twice', 'another sink writes there already')
    taken.add(what)
  }
  audit.sinks.forEach((sink, index) => {
    const at = ['audit', 'sinks', index]
    for (const option of OPTIONS) {
      if (sink[option] === undefined || OPTIONS_OF[sink.type].includes(option)) continue
      tell(
        [...at, option],
        'without-effect',
        `\`${option}\` says nothing under \`type: ${sink.type}\``,
        'key',
      )
    }
    if (sink.type === 'Stdout') take([...at, 'type'], 'Stdout')
    if (sink.type === 'RedisStream') {
      take([...at, 'type'], `RedisStream ${sink.stream ?? ''}`)
      if (store.type !== 'Redis') {
        tell([...at, 'type'], 'redis-missing', '`type: RedisStream` needs `store.type: Redis`')
      }
    }
    if (sink.type === 'File') checkFile(sink, at, take, tell)
    if (sink.type === 'Http') checkHttp(sink, at, take, tell)
  })
  if (audit.record) take(['audit', 'record', 'file'], placeOf(audit.record.file))
}

function placeOf(file: string): string {
  return `file ${resolve('/', file)}`
}

function checkFile(
  { file, recipients = {} }: Sink,
  at: Pointer,
  take: (pointer: Pointer, what: string) => void,
  tell: Tell,
): void {
  if (file === undefined) tell(at, 'file-missing', '`type: File` needs `file`', 'key')
  else take([...at, 'file'], placeOf(file))
  if (file !== undefined && !/(^|\/)[^/.]+\.jsonl$/.test(file)) {
    tell(
      [...at, 'file'],
      'wrong-name',
      `\`${file}\` must be named NAME.jsonl, with no other dot in NAME, as in ./audit/events.jsonl`,
    )
  }
  for (const name of Object.keys(recipients)) {
    if (CLASSIFICATION.test(name)) continue
    tell([...at, 'recipients', name], 'wrong-name', `\`${name}\` can't be the name of a DataPolicy`, 'key')
  }
}

function checkHttp(
  { url, format, labels, spool }: Sink,
  at: Pointer,
  take: (pointer: Pointer, what: string) => void,
  tell: Tell,
): void {
  if (url === undefined) tell(at, 'url-missing', '`type: Http` needs `url`', 'key')
  else {
    take([...at, 'url'], `url ${url}`)
    checkHttpUrl(url, [...at, 'url'], tell)
  }
  if (labels !== undefined && format !== undefined && format !== 'DecisionLog') {
    tell([...at, 'labels'], 'without-effect', `\`labels\` says nothing under \`format: ${format}\``, 'key')
  }
  if (spool) take([...at, 'spool', 'directory'], `spool ${resolve('/', spool.directory)}`)
}
