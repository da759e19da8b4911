import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { runCli } from '../../support/cli.js'
import { eventually } from '../../support/eventually.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api, namespace: shop }
spec: { endpoints: [{ name: get, paths: [/], methods: [GET] }] }
`

type Server = ChildProcessByStdio<null, Readable, Readable>
let directory = ''
let server: Server | undefined

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-serve-'))
  await mkdir(join(directory, 'policy'))
  await writeFile(join(directory, 'policy', 'api.yaml'), POLICY)
})

afterEach(async () => {
  if (server && server.exitCode === null && server.signalCode === null) {
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  server = undefined
  await rm(directory, { recursive: true })
})

/** A configuration whose listener takes principals on Envoy's word, so that no certificates are needed. */
async function configure(extra = '', address = '127.0.0.1:0'): Promise<string> {
  const file = join(directory, 'portcullis.yaml')
  await writeFile(
    file,
    `
apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners:
  - { name: mesh, address: "${address}", peerIdentity: Principal, principalTrustDomains: [cluster.local] }
health: { listen: "" }
${extra}`,
  )
  return file
}

describe('what does not start is exit 2, and nothing goes to standard output', () => {
  async function refusal(file: string, ...args: string[]): Promise<string> {
    const signals = process.listenerCount('SIGTERM')
    const { exitCode, stdout, stderr } = await runCli(['serve', '--config', file, ...args])
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(process.listenerCount('SIGTERM')).toBe(signals)
    return stderr
  }

  test('every problem of the configuration at once, each with its place', async () => {
    const stderr = await refusal(await configure('trustDomian: prod.example\naudit: { overflow: block }'))
    expect(stderr).toMatch(/portcullis\.yaml:\d+:\d+: error: .*did you mean `trustDomain`/)
    expect(stderr).toMatch(/portcullis\.yaml:\d+:\d+: error: .*Block/)
  })

  test('a flag that is no option', async () => {
    expect(await refusal(await configure(), '--set', 'stor.type=Embedded')).toContain('--set stor.type')
  })

  test('a policy with an error', async () => {
    await writeFile(join(directory, 'policy', 'bad.yaml'), POLICY.replace('endpoints', 'endpoint'))
    expect(await refusal(await configure())).toMatch(/bad\.yaml:\d+:\d+: error: .*did you mean `endpoints`/)
  })

  test('a policy folder that is not there', async () => {
    const nowhere = join(directory, 'nowhere')
    expect(await refusal(await configure(), '--policy', nowhere)).toContain(nowhere)
  })

  test('an address in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const stderr = await refusal(await configure(), '--listen', `127.0.0.1:${port}`)
    taken.close()
    expect(stderr).toContain(String(port))
  })
})

describe('signals', () => {
  /** Resolves once it says that it is ready. */
  async function startServer(
    file: string,
  ): Promise<{ server: Server; output: () => string; said: (text: string) => Promise<void> }> {
    const args = ['--import', './test/support/ts.js', 'src/cli/portcullis.ts', 'serve', '--config', file]
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: {} })
    server = child
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    let log = ''
    for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
      log += String(chunk)
      if (!log.includes('"ready"')) continue
      child.stderr.on('data', (more: Buffer) => (log += more.toString()))
      return {
        server: child,
        output: () => output,
        said: (text) => eventually(() => expect(log).toContain(text)),
      }
    }
    throw new Error(`ended before it was ready: ${log}`)
  }

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s drains and is exit 0',
    async (signal) => {
      const { server: running, output } = await startServer(await configure())
      running.kill(signal)
      const [code] = await once(running, 'exit')
      expect([code, output()]).toEqual([0, ''])
    },
    15_000,
  )

  test('SIGUSR2 writes every detail into the log, and a second one no longer', async () => {
    const { server: running, said } = await startServer(await configure())
    running.kill('SIGUSR2')
    await said('"message":"log level changed","from":"info","to":"debug"')
    running.kill('SIGUSR2')
    await said('"message":"log level changed","from":"debug","to":"info"')
    running.kill('SIGTERM')
    const [code] = await once(running, 'exit')
    expect(code).toBe(0)
  }, 15_000)

  test('a second signal does not wait for the drain', async () => {
    const { server: running } = await startServer(await configure('drain: { delay: 60s }'))
    running.kill('SIGTERM')
    setTimeout(() => running.kill('SIGTERM'), 300)
    const [code, signal] = await once(running, 'exit')
    expect([code, signal]).toEqual([null, 'SIGTERM'])
  }, 15_000)
})
