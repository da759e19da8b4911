import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { REPOSITORY } from '../../demo/lay.js'
import { createPki, writeIdentity } from '../../demo/pki.js'
import { Processes } from '../../demo/processes.js'
import { renderShipped } from '../../demo/render-shipped.js'
import { runCli } from '../support/cli.js'
import { mendedWhole, written } from '../unit/lifecycle/doctor/apply-fix.js'
import { BROKEN } from '../unit/lifecycle/doctor/broken/all.js'
import { brokenText } from '../unit/lifecycle/doctor/examined.js'

const SHIPPED = join(REPOSITORY, 'envoy')
const READY_WITHIN_MS = 20_000
/** Every port is one that the system chooses. */
const PORTS = new Map([9901, 8443, 15001, 5432, 6379].map((port) => [port, 0]))
const PORTCULLIS = 'portcullis-headless.portcullis-system.svc.cluster.local'

let envoy: string
let directory: string
let processes: Processes
let runs = 0

beforeAll(() => {
  envoy = envoyBinary()
  directory = mkdtempSync(join(tmpdir(), 'portcullis-doctor-'))
  processes = new Processes(directory)
  const pki = createPki('shop.example.com')
  writeIdentity(join(directory, 'tls'), pki.svid('shop/payment-service'), pki.bundlePem)
  mkdirSync(join(directory, 'web'))
  writeFileSync(join(directory, 'web/tls.crt'), pki.web.chainPem)
  writeFileSync(join(directory, 'web/tls.key'), pki.web.keyPem)
  for (const file of readdirSync(SHIPPED, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.yaml')) lay(file, readFileSync(join(SHIPPED, file), 'utf8'))
  }
}, 120_000)

afterAll(async () => {
  await processes.stop()
  rmSync(directory, { recursive: true, force: true })
})

function lay(file: string, text: string): string {
  const laid = join(directory, 'envoy', file)
  mkdirSync(dirname(laid), { recursive: true })
  const addresses = new Map([[PORTCULLIS, '127.0.0.1']])
  writeFileSync(laid, renderShipped(text, { addresses, ports: PORTS, directory }))
  return laid
}

/** Address of the admin interface of a real Envoy that has loaded the file and is ready. */
async function started(file: string): Promise<string> {
  const addressFile = join(directory, `admin-${++runs}`)
  const args = [
    '-c',
    file,
    '--admin-address-path',
    addressFile,
    '--use-dynamic-base-id',
    '--concurrency',
    '1',
  ]
  const running = await processes.start(`envoy-${runs}`, envoy, args)
  const endMs = Date.now() + READY_WITHIN_MS
  for (;;) {
    processes.assertRunning(running)
    const url = await readyAt(addressFile)
    if (url !== undefined) return url
    if (Date.now() > endMs) throw new Error(`not ready: ${readFileSync(running.logFile, 'utf8')}`)
    await new Promise((next) => setTimeout(next, 50))
  }
}

async function readyAt(addressFile: string): Promise<string | undefined> {
  try {
    const url = `http://${readFileSync(addressFile, 'utf8').trim()}`
    return (await fetch(`${url}/ready`)).ok ? url : undefined
  } catch {
    // The file is not written yet, or nobody listens yet.
    return undefined
  }
}

/** One change each, that Envoy itself takes. */
const CHANGES: readonly { file: string; from: string; to: string; finds: string; where: string }[] = [
  {
    file: 'sidecar.yaml',
    from: 'failure_mode_allow: false',
    to: 'failure_mode_allow: true',
    finds: 'failure-mode-allow',
    where: 'listener inbound, filter chain 1, envoy.filters.http.ext_authz',
  },
  {
    file: 'sidecar-tcp.yaml',
    from: 'include_peer_certificate: true',
    to: 'include_peer_certificate: false',
    finds: 'peer-certificate',
    where: 'listener inbound, filter chain 1, envoy.filters.network.ext_authz',
  },
  {
    file: 'gateway.yaml',
    from: 'check_settings: { context_extensions: { portcullis.service: shop/order-service } }',
    to: 'disabled: true',
    finds: 'route-disabled',
    where: 'route configuration users, virtual host shop, route 2 (path_separated_prefix /api/orders)',
  },
]

describe.each(['sidecar.yaml', 'sidecar-tcp.yaml', 'gateway.yaml'])('a real Envoy with envoy/%s', (file) => {
  test('is clean', async () => {
    const run = await runCli(['doctor', '--admin', await started(join(directory, 'envoy', file))])
    expect(run).toEqual({
      exitCode: 0,
      stdout: '0 errors, 0 warnings; Portcullis is asked by 1 filter\n',
      stderr: '',
    })
  }, 30_000)

  test.each(CHANGES.filter((change) => change.file === file))(
    'with one thing wrong: $finds',
    async (change) => {
      const text = readFileSync(join(SHIPPED, file), 'utf8')
      const broken = lay(`broken-${file}`, text.replace(change.from, change.to))
      const url = await started(broken)
      const saved = join(directory, 'config_dump.json')
      writeFileSync(saved, await (await fetch(`${url}/config_dump?include_eds`)).text())
      for (const source of [['--admin', url], [saved]]) {
        const { exitCode, stdout } = await runCli(['doctor', '-o', 'json', ...source])
        expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({
          exitCode: 1,
          problems: [{ code: change.finds, where: change.where }],
        })
      }
    },
    30_000,
  )
})

/** Some changes hide a field by another name that no Envoy reads. */
function withoutHidden(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (name, each: unknown) => (name === 'unread' ? undefined : each)))
}

describe('what is mended is loaded by a real Envoy', () => {
  // The others have a type of somebody's own, or one whose fields these are not.
  const loadable = BROKEN.filter(({ change: [, to] }) => !/shop\.Own|tap\.v3/.test(to))

  test.each(loadable)('$file: $name ($finds)', (broken) => {
    const laid = lay(`mended-${broken.file}`, written(withoutHidden(mendedWhole(parse(brokenText(broken))))))
    const { status, stdout, stderr } = spawnSync(envoy, ['--mode', 'validate', '-c', laid], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect({ status, output: stdout + stderr }).toEqual({
      status: 0,
      output: expect.stringMatching(/configuration '.*' OK/),
    })
  })
})
