import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { loadConfig } from '../../../../src/config/load.js'
import type { Config } from '../../../../src/config/config.js'
import { leftSpools } from '../../../../src/main/workers/left-spools.js'
import { configOfWorker } from '../../../../src/main/workers/own-config.js'

function configOf(text: string): Config {
  const loaded = loadConfig({ file: '/etc/portcullis/portcullis.yaml', text, env: {}, flags: {} })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

const WRITING = configOf(`
apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners: [{ name: mesh, address: "127.0.0.1:0" }]
trustDomains: { cluster.local: { bundle: { file: ./ca.pem } } }
policy: { kubernetes: { kubeconfig: /k } }
health: { listen: "127.0.0.1:8282" }
audit:
  sinks:
    - { type: Stdout }
    - { type: File, file: /log/events.jsonl }
    - { type: Http, url: "https://collector.example/", spool: { directory: /spool } }
    - { type: Http, url: "https://other.example/" }
  record: { file: /log/checks.jsonl }
  detector: { enabled: true, baseline: /log/baseline.json }
`)

/** Every path that a process writes alone. */
const writtenBy = (config: Config): unknown[] => [
  ...config.audit.sinks.map((sink) =>
    sink.type === 'File' ? sink.file : sink.type === 'Http' ? sink.spool?.directory : undefined,
  ),
  config.audit.record?.file,
  config.audit.detector.baselineFile,
]

test.each([
  {
    number: 2,
    written: [
      undefined,
      '/log/events-2.jsonl',
      '/spool/worker-2',
      undefined,
      '/log/checks-2.jsonl',
      '/log/baseline-2.json',
    ],
    writesStatuses: false,
  },
  {
    number: 1,
    written: [undefined, '/log/events.jsonl', '/spool', undefined, '/log/checks.jsonl', '/log/baseline.json'],
    writesStatuses: true,
  },
])('worker $number writes what is its own', ({ number, written, writesStatuses }) => {
  const own = configOfWorker(WRITING, number)
  expect(writtenBy(own)).toEqual(written)
  expect(own.policy.kubernetes?.writesStatuses).toBe(writesStatuses)
  expect(own.health.listen).toBeUndefined()
})

test('all else is as it was, and survives the way to another process', () => {
  const own = configOfWorker(WRITING, 1)
  expect({ ...own, health: WRITING.health }).toEqual(WRITING)
  expect(structuredClone(own)).toEqual(own)
})

test('spools of workers that are no more, with events in them, are found', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spools-'))
  for (const name of [
    'worker-2/1.batch',
    'worker-3/1.batch',
    'worker-4/1.tmp',
    'worker-x/1.batch',
    '1.batch',
  ]) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), '')
  }
  const sinks = WRITING.audit.sinks.map((sink) =>
    sink.type === 'Http' && sink.spool ? { ...sink, spool: { ...sink.spool, directory: folder } } : sink,
  )
  const found = async (workers: number): Promise<string[]> => leftSpools({ sinks }, workers)
  expect(await found(1)).toEqual([join(folder, 'worker-2'), join(folder, 'worker-3')])
  expect(await found(2)).toEqual([join(folder, 'worker-3')])
  expect(await found(3)).toEqual([])
  expect(await leftSpools(WRITING.audit, 1)).toEqual([])
  await rm(folder, { recursive: true })
})
