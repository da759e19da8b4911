import { connect } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { tlsOptions } from '../../demo/calls.js'
import { PORTS } from '../../demo/services.js'
import { bearer } from '../../demo/tokens.js'
import { type ClusterMesh, LOAD, PORTCULLIS } from './support/cluster-mesh.js'
import { apiIsBack, stopApi, stopKubelet } from './support/hooks.js'
import { apply, isReady, kubectl, onePodOf, podsOf, until } from './support/kubectl.js'
import { startLoad, steady, type Tally, underLoad } from './support/load.js'
import { reach } from './support/reach.js'
import { svidSecret } from './support/secrets.js'

const SYSTEM = ['-n', 'portcullis-system'] as const

/** What operators do and what breaks, under steady load: no answer is wrong and no allowed call fails. */
export function operations(mesh: () => ClusterMesh): void {
  beforeAll(async () => {
    await mesh().scale(3)
    await startLoad()
  }, 200_000)

  beforeEach(() => steady(), 60_000)

  test('only Envoys reach Portcullis, and only Portcullis reaches Redis', async () => {
    const from = {
      namespace: 'shop',
      pod: await onePodOf('shop', `app=${LOAD.name}`),
      container: 'application',
    }
    const [replica] = await podsOf('portcullis-system', PORTCULLIS)
    const address = replica?.status.podIP ?? ''
    for (const port of [PORTS.edge, PORTS.health, PORTS.public]) {
      expect({ port, is: await reach(from, address, port) }).toEqual({ port, is: 'closed' })
    }
    const redis = (await podsOf('portcullis-system', 'app.kubernetes.io/name=portcullis-redis'))[0]
    expect(await reach(from, redis?.status.podIP ?? '', PORTS.cache)).toBe('closed')
    expect(await reach(from, address, PORTS.mesh)).toBe('open')
  }, 60_000)

  test('a rolling update, and back', async () => {
    const tally = await underLoad(async () => {
      for (const change of ['restart', 'undo']) {
        await kubectl(['rollout', change, ...SYSTEM, 'deployment/portcullis'])
        await kubectl(['rollout', 'status', ...SYSTEM, 'deployment/portcullis', '--timeout=150s'])
      }
    })
    expectUndisturbed(tally, 100)
  }, 350_000)

  test('a pod is evicted, as when its node is drained', async () => {
    const tally = await underLoad(async () => {
      const [pod] = await podsOf('portcullis-system', PORTCULLIS)
      const name = pod?.metadata.name ?? ''
      const eviction = {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name, namespace: 'portcullis-system' },
      }
      const path = `/api/v1/namespaces/portcullis-system/pods/${name}/eviction`
      await kubectl(['create', '--raw', path, '-f', '-'], JSON.stringify(eviction))
      await threeReady()
    })
    expectUndisturbed(tally, 50)
  }, 120_000)

  test('three replicas become one, and three again', async () => {
    const tally = await underLoad(async () => {
      await mesh().scale(1)
      await sleep(5000)
      await mesh().scale(3)
    })
    expectUndisturbed(tally, 100)
  }, 200_000)

  test('what is revoked on one replica is refused by all within a second', async () => {
    const authorization = await bearer(mesh(), 'paula, payments', {
      session_id: 'paula-at-work',
    })
    const calling = kubectl(execIn('application', ['node', '/application/user.ts', authorization, '6000']))
    await sleep(3000)
    const ended = await mesh().administer('oscar', 'POST', '/v1/sessions/terminate', {
      subject: 'paula',
      reason: 'laptop lost',
    })
    const endedMs = Date.now()
    expect(ended.status).toBe('200')
    const { stdout } = await calling
    const answers = stdout
      .trim()
      .split('\n')
      .map((line): { at: number; status: number; reason?: string } => JSON.parse(line))
    const passed = answers.filter(({ status }) => status === 200)
    const refused = answers.filter(({ status, reason }) => status === 401 && reason === 'session-terminated')
    expect(answers.filter((answer) => !passed.includes(answer) && !refused.includes(answer))).toEqual([])
    expect(passed.length).toBeGreaterThan(50)
    expect(refused.length).toBeGreaterThan(50)
    const late = Math.max(...passed.map(({ at }) => at)) - endedMs
    process.stderr.write(`the last call that passed began ${late} ms after the revocation\n`)
    expect(late).toBeLessThan(1000)
    for (const { metadata } of await podsOf('portcullis-system', PORTCULLIS)) {
      const log = await kubectl(['logs', ...SYSTEM, metadata.name, '--since=30s'])
      expect(log.stdout).toContain('"session-terminated"')
    }
  }, 60_000)

  test('the Redis pod is deleted', async () => {
    const tally = await underLoad(async () => {
      await kubectl(['delete', 'pod', ...SYSTEM, 'portcullis-redis-0', '--wait=true'])
      await kubectl(['rollout', 'status', ...SYSTEM, 'statefulset/portcullis-redis', '--timeout=60s'])
    })
    expectUndisturbed(tally, 50)
  }, 120_000)

  test('certificates of a service and of Portcullis are renewed through their Secrets', async () => {
    const { pki } = mesh()
    const service = pki.renewedSvid('shop/inventory-service')
    const own = pki.renewedSvid('portcullis-system/portcullis')
    const tally = await underLoad(async () => {
      await apply(
        svidSecret('shop', 'inventory-service-svid', service, pki.bundlePem),
        svidSecret('portcullis-system', 'portcullis-tls', own, pki.bundlePem),
      )
      await until('the new certificate of inventory-service', 120_000, async () => {
        return (await serialShown(mesh())) === service.serialHex
      })
      await until('the new certificate of each replica', 60_000, async () => {
        const serials = await Promise.all(
          (await podsOf('portcullis-system', PORTCULLIS)).map(({ status }) => serialOf(status.podIP ?? '')),
        )
        return serials.length === 3 && serials.every((serial) => serial === own.serialHex)
      })
    })
    expectUndisturbed(tally, 100)
  }, 240_000)

  describe.each([
    { name: 'the API server is away for a minute', stop: stopApi, awayMs: 60_000 },
    { name: "the node's kubelet is started anew", stop: stopKubelet, awayMs: 10_000 },
  ])('where the cluster can be told so', ({ name, stop, awayMs }) => {
    ;(stop ? test : test.skip)(
      name,
      async () => {
        const tally = await underLoad(async () => {
          const start = await stop?.()
          await sleep(awayMs)
          await start?.()
          await apiIsBack()
          await until('all nodes', 120_000, async () => {
            const { stdout } = await kubectl(['get', 'nodes', '--no-headers'])
            return !stdout.includes('NotReady')
          })
        })
        expectUndisturbed(tally, (awayMs / 1000) * 10)
      },
      330_000,
    )
  })
}

/** At least this many of each kind must have been made, or nothing was tried. */
function expectUndisturbed(tally: Tally, atLeast: number): void {
  const { wrong, failed, told } = tally
  expect({ wrong, failed, told }).toEqual({ wrong: [], failed: [], told: [] })
  expect(tally.allowed).toBeGreaterThan(atLeast)
  expect(tally.denied).toBeGreaterThan(atLeast)
  process.stderr.write(
    `${expect.getState().currentTestName}: ${tally.allowed} allowed, ${tally.denied} denied, slowest ${tally.slowest} ms\n`,
  )
}

async function threeReady(): Promise<void> {
  await until('three replicas', 90_000, async () => {
    const pods = await podsOf('portcullis-system', PORTCULLIS)
    return pods.length === 3 && pods.every(isReady)
  })
}

/** Lower-case hex, as Envoy of inventory-service shows it now. */
function serialShown(mesh: ClusterMesh): Promise<string> {
  const { pki } = mesh
  const way = mesh.straightTo('inventory-service', pki.svid('shop/checkout-service'))
  return new Promise((resolve, reject) => {
    const socket = connect(tlsOptions(way), () => {
      resolve(plainHex(socket.getPeerCertificate().serialNumber))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

const plainHex = (serial: string): string => serial.toLowerCase().replace(/^0+/, '')

/** As a replica shows it to a pod that connects. */
async function serialOf(address: string): Promise<string> {
  const program = `const socket = require('node:tls').connect({ host: '${address}', port: 9191, rejectUnauthorized: false, ALPNProtocols: ['h2'] }, () => { console.log(socket.getPeerCertificate().serialNumber); process.exit() })`
  const { stdout } = await kubectl(execIn('application', ['node', '-e', program]))
  return plainHex(stdout.trim())
}

function execIn(container: string, command: readonly string[]): readonly string[] {
  return ['exec', '-n', 'shop', `deployment/${LOAD.name}`, '-c', container, '--', ...command]
}
