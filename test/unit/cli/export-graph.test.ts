import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Command, CommanderError } from 'commander'
import { parseAllDocuments } from 'yaml'
import * as exporting from '../../../src/cli/export.js'
import * as graph from '../../../src/cli/graph.js'
import type { CliIo } from '../../../src/cli/io.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: stock, namespace: shop }
spec: { endpoints: [{ name: Read, paths: [/stock], methods: [GET] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: orders, namespace: shop }
spec: { calls: [{ service: stock }], endpoints: [{ name: List, paths: [/orders], methods: [GET], require: Both }] }
`

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-export-'))
  await writeFile(join(directory, 'policy.yaml'), POLICY)
})
afterAll(() => rm(directory, { recursive: true, force: true }))

async function runOne(command: typeof graph | typeof exporting, ...args: string[]) {
  let [stdout, stderr] = ['', '']
  const io: CliIo = {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    env: {},
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command('portcullis')
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
  command.register(program, io)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    io.exitCode = error.exitCode === 0 ? 0 : 2
  }
  return { exitCode: io.exitCode, stdout, stderr }
}

test.each([
  {
    name: 'a format of nobody',
    command: exporting,
    args: ['export', 'iptables'],
    says: 'Allowed choices are networkpolicy, envoy-rbac, istio',
  },
  {
    name: 'no such directory',
    command: exporting,
    args: ['export', 'istio', '--policy', '/nowhere'],
    says: '/nowhere',
  },
  {
    name: 'no such service',
    command: exporting,
    args: ['export', 'istio', '--service', 'shop/stok', '--policy', 'DIR'],
    says: 'no document names shop/stok; did you mean shop/stock?',
  },
  {
    name: 'no such service to reach',
    command: graph,
    args: ['graph', '--reach', 'shop/stok', '--policy', 'DIR'],
    says: 'did you mean shop/stock?',
  },
  {
    name: 'no such direction',
    command: graph,
    args: ['graph', '--direction', 'up', '--policy', 'DIR'],
    says: 'Allowed choices are in, out, both',
  },
])('wrong usage: $name', async ({ command, args, says }) => {
  const { exitCode, stderr, stdout } = await runOne(
    command,
    ...args.map((arg) => (arg === 'DIR' ? directory : arg)),
  )
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(says)
})

test('export tells who was refused with its place, and writes the others', async () => {
  const { exitCode, stdout, stderr } = await runOne(exporting, 'export', 'istio', '--policy', directory)
  expect(exitCode).toBe(1)
  expect(stderr).toBe(
    `${join(directory, 'policy.yaml')}:10:50: error: shop/orders: the endpoint List has require: Both, and users are not known there\n`,
  )
  const documents = parseAllDocuments(stdout).map((document) => document.toJS())
  expect(documents.map(({ metadata }) => metadata.name)).toEqual(['stock-allow'])
})

test('export of one service as JSON, with another label', async () => {
  const { exitCode, stdout } = await runOne(
    exporting,
    'export',
    'networkpolicy',
    '--policy',
    directory,
    '--service',
    'shop/stock',
    '--pod-label',
    'app.kubernetes.io/name',
    '-o',
    'json',
  )
  expect(exitCode).toBe(0)
  const list = JSON.parse(stdout)
  expect(list).toMatchObject({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'NetworkPolicy' }] })
  expect(list.items[0].spec.podSelector).toEqual({ matchLabels: { 'app.kubernetes.io/name': 'stock' } })
})

test.each([
  { output: 'table', says: 'shop/orders → shop/stock' },
  { output: 'json', says: '"path":["shop/orders","shop/stock"]' },
  { output: 'dot', says: 's0 -> s1' },
  { output: 'svg', says: '<svg ' },
  { output: 'html', says: '<!doctype html>' },
])('graph --reach -o $output', async ({ output, says }) => {
  const { exitCode, stdout } = await runOne(
    graph,
    'graph',
    '--policy',
    directory,
    '--reach',
    'shop/stock',
    '-o',
    output,
  )
  expect(exitCode).toBe(0)
  expect(stdout).toContain(says)
})
