import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { fetchConfigDump } from '../../../src/cli/envoy-admin.js'
import { runCli } from '../../support/cli.js'
import { changed, shipped } from '../lifecycle/doctor/examined.js'

const ENVOY = new URL('../../../envoy/', import.meta.url).pathname
let folder = ''
let open = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'doctor-'))
  open = join(folder, 'open.yaml')
  writeFileSync(
    open,
    changed(shipped('gateway.yaml'), 'failure_mode_allow: false', 'failure_mode_allow: true'),
  )
  writeFileSync(join(folder, 'empty.yaml'), '')
  writeFileSync(join(folder, 'huge.yaml'), '')
  truncateSync(join(folder, 'huge.yaml'), 200 * 1024 * 1024)
  writeFileSync(join(folder, 'policy.yaml'), 'kind: ServicePolicy\nmetadata: {}\n')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('what can not be read', () => {
  test.each([
    { name: 'nothing named', files: [], says: /^error: name the files of an Envoy, or --admin\n$/ },
    {
      name: 'no such file',
      files: ['none.yaml'],
      says: /^error: .*none\.yaml can't be read: no such file or folder\n$/,
    },
    { name: 'a folder', files: ['.'], says: /^error: .* is not a regular file\n$/ },
    { name: 'an empty file', files: ['empty.yaml'], says: /^error: .*empty\.yaml is empty\n$/ },
    {
      name: 'a huge file',
      files: ['huge.yaml'],
      says: /^error: .*huge\.yaml has 209715200 bytes; at most 134217728 are read\n$/,
    },
    { name: 'something else', files: ['policy.yaml'], says: /^error: .*: it is a ServicePolicy\n$/ },
    {
      name: 'one bad file among good ones',
      files: ['open.yaml', 'none.yaml'],
      says: /none\.yaml can't be read/,
    },
  ])('$name', async ({ files, says }) => {
    const run = await runCli(['doctor', ...files.map((file) => join(folder, file))])
    expect(run).toEqual({ exitCode: 2, stdout: '', stderr: expect.stringMatching(says) })
  })

  test.each([
    { name: 'a form that is none', args: ['-o', 'xml'] },
    { name: 'hops that are none', args: ['--trusted-hops', '-1'] },
    { name: 'an option that is none', args: ['--fix'] },
  ])('$name', async ({ args }) => {
    expect(await runCli(['doctor', open, ...args])).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

describe('files', () => {
  test('the shipped ones are clean, all of them at once', async () => {
    const files = [
      'sidecar.yaml',
      'sidecar-tcp.yaml',
      'gateway.yaml',
      'mesh/clusters.yaml',
      'mesh/routes.yaml',
    ]
    const run = await runCli(['doctor', ...files.map((file) => join(ENVOY, file))])
    expect(run).toEqual({
      exitCode: 0,
      stdout: '0 errors, 0 warnings; Portcullis is asked by 3 filters\n',
      stderr: '',
    })
  })

  test('a finding has its place, why, and what mends it', async () => {
    const { exitCode, stdout } = await runCli(['doctor', open])
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(
      /^\S+open\.yaml:\d+:23: error: failure_mode_allow is true \(failure-mode-allow\)\n {4}at: listener users, filter chain 1, envoy\.filters\.http\.ext_authz\n {4}why: .+\n {4}fix, in ExtAuthz:\n {6}failure_mode_allow: false\n\nnot seen: .*\n1 error, 0 warnings; /,
    )
  })

  test('the page shows what is printed', async () => {
    const page = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8')
    const [, shown = ''] = /^```text\n([\s\S]*?)^```/m.exec(page) ?? []
    const file = join(folder, 'envoy.yaml')
    const text = changed(shipped('sidecar.yaml'), 'failure_mode_allow: false', 'failure_mode_allow: true')
    writeFileSync(file, text.replace(/^ {6}health_checks:\n(?: {8}.*\n)*/m, ''))
    const { stdout } = await runCli(['doctor', file])
    expect(stdout.replaceAll(file, 'envoy.yaml')).toBe(shown)
  })

  test('as JSON', async () => {
    const { exitCode, stdout } = await runCli(['doctor', open, '-o', 'json'])
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      errors: 1,
      warnings: 0,
      asks: 1,
      problems: [
        {
          severity: 'error',
          code: 'failure-mode-allow',
          file: open,
          line: expect.any(Number),
          fix: { path: expect.arrayContaining(['http_filters', 0]), yaml: 'failure_mode_allow: false\n' },
        },
      ],
      unseen: ['clusters of the cluster discovery (cds_config)'],
    })
  })

  test('names of strangers do nothing to a terminal', async () => {
    const file = join(folder, 'names.yaml')
    const text = changed(
      shipped('gateway.yaml'),
      'name: users\n      address',
      'name: "\\e[2Jusers"\n      address',
    )
    writeFileSync(file, changed(text, 'failure_mode_allow: false', 'failure_mode_allow: true'))
    const { stdout } = await runCli(['doctor', file])
    expect(stdout).toContain('listener ?[2Jusers')
  })
})

describe('a running Envoy', () => {
  let server: Server | undefined
  afterEach(() => {
    server?.closeAllConnections()
    server?.close()
  })

  async function listening(answer: RequestListener): Promise<string> {
    server = createServer(answer)
    await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done))
    return `http://127.0.0.1:${portOf(server)}`
  }

  const portOf = (of: Server): number => {
    const address: AddressInfo | string | null = of.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  test.each([
    { name: 'no address', url: 'nowhere', says: '--admin takes an address such as' },
    { name: 'another scheme', url: 'ftp://127.0.0.1', says: '--admin takes an address such as' },
    { name: 'a path', url: 'http://127.0.0.1:1/quitquitquit', says: 'scheme, host and port alone' },
    { name: 'credentials', url: 'http://a:b@127.0.0.1:1', says: 'scheme, host and port alone' },
    {
      name: 'plaintext to another host',
      url: 'http://192.0.2.1:9901',
      says: 'over http takes an address of this host',
    },
    { name: 'nobody', url: 'http://127.0.0.1:1', says: /bad port|nothing listens there/ },
  ])('is not asked: $name', async ({ url, says }) => {
    const run = await runCli(['doctor', '--admin', url])
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toMatch(says)
  })

  test.each<{ name: string; answer: RequestListener; says: string }>([
    {
      name: 'a web page',
      answer: (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html></html>'),
      says: 'answered with text/html, which is no config_dump',
    },
    {
      name: 'an error',
      answer: (_, response) => response.writeHead(404).end(),
      says: 'answered with status 404',
    },
    {
      name: 'another place',
      answer: (_, response) => response.writeHead(302, { location: 'http://192.0.2.1/' }).end(),
      says: 'answered with status 302',
    },
    {
      name: 'other JSON',
      answer: (_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"status": "ok"}'),
      says: 'is no Envoy bootstrap, file of resources or config_dump: its fields are status',
    },
    {
      name: 'half of it',
      answer: (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 }).write('{')
        response.destroy()
      },
      says: 'error: http://127.0.0.1:',
    },
  ])('answers with $name', async ({ answer, says }) => {
    const run = await runCli(['doctor', '--admin', await listening(answer)])
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(says)
  })

  test.each<{ name: string; answer: RequestListener; says: string }>([
    { name: 'never answers', answer: () => undefined, says: 'did not answer within 0.2 s' },
    {
      name: 'answers too much',
      answer: (_, response) => response.end('x'.repeat(2000)),
      says: 'more than 1000 bytes',
    },
  ])('$name', async ({ answer, says }) => {
    const url = await listening(answer)
    expect(await fetchConfigDump(url, { timeMs: 200, maxBytes: 1000 })).toEqual({
      ok: false,
      problem: expect.stringContaining(says),
    })
  })

  test('is asked for everything, endpoints too', async () => {
    let asked: string | undefined
    const url = await listening((request, response) => {
      asked = `${request.method} ${request.url}`
      const listeners = { '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump' }
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ configs: [listeners] }))
    })
    const run = await runCli(['doctor', '--admin', url])
    expect(asked).toBe('GET /config_dump?include_eds')
    expect(run).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('(no-ext-authz)') })
  })
})
