import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Client, credentials, status } from '@grpc/grpc-js'
import { WorkloadApi, type StreamHealth, type X509State } from '../../../src/adapters/workload-api.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { servedSvid, WorkloadApiServer } from '../../support/workload-api-server.js'
import { eventually } from '../../support/eventually.js'

const root = createAuthority({ name: 'root', trustDomain: 'td' })
const ID = 'spiffe://td/ns/a/sa/portcullis'
const svid = servedSvid(ID, root.issueSvid({ spiffeId: ID }), [root])

let agent: WorkloadApiServer
const open: { close(): void }[] = []
beforeEach(async () => {
  agent = await WorkloadApiServer.start({ svids: [svid] })
})
afterEach(async () => {
  for (const each of open.splice(0)) each.close()
  await agent.stop()
})

function watch(target = `unix:${agent.path}`) {
  const api = new WorkloadApi({
    target,
    now: () => 1000,
    random: () => 0.5,
    backoffMs: { first: 20, most: 80 },
  })
  open.push(api)
  const states: X509State[] = []
  const failures: string[] = []
  const stream = api.watchX509({
    message: (state) => states.push(state),
    failed: (problem) => failures.push(problem),
  })
  return { api, states, failures, health: (): StreamHealth => stream.health }
}

describe('WorkloadApi', () => {
  test.each([
    ['INVALID_ARGUMENT', status.INVALID_ARGUMENT],
    ['UNIMPLEMENTED', status.UNIMPLEMENTED],
  ])('asks no more after %s', async (name, code) => {
    agent.denial = { code, details: 'no' }
    const { failures, health } = watch()
    await eventually(() => expect(failures).toEqual([`${name}: no`]))
    agent.denial = undefined
    await new Promise((resolve) => setTimeout(resolve, 150))
    expect(agent.calls).toBe(1)
    expect(health()).toEqual({ lastMessageMs: undefined, problem: `${name}: no`, stopped: true })
  })

  test.each([
    ['PERMISSION_DENIED', status.PERMISSION_DENIED],
    ['UNAVAILABLE', status.UNAVAILABLE],
  ])('asks again after %s', async (name, code) => {
    agent.denial = { code, details: 'not yet' }
    const { failures, states, health } = watch()
    await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(3))
    expect(failures[0]).toBe(`${name}: not yet`)
    expect(states).toEqual([])
    agent.denial = undefined
    await eventually(() => expect(states).toHaveLength(1))
    expect(health()).toEqual({ lastMessageMs: 1000, problem: undefined, stopped: false })
  })

  test('waits longer each time, up to a limit', async () => {
    agent.denial = { code: status.UNAVAILABLE, details: 'no' }
    const at: number[] = []
    const api = new WorkloadApi({
      target: `unix:${agent.path}`,
      now: Date.now,
      random: () => 1,
      backoffMs: { first: 40, most: 160 },
    })
    open.push(api)
    api.watchX509({ message: () => undefined, failed: () => at.push(performance.now()) })
    await eventually(() => expect(at.length).toBeGreaterThanOrEqual(5))
    const gaps = at.slice(1).map((each, index) => each - (at[index] ?? 0))
    expect(gaps[0]).toBeGreaterThanOrEqual(39)
    expect(gaps[1]).toBeGreaterThanOrEqual(79)
    expect(gaps[3]).toBeGreaterThanOrEqual(159)
  })

  test('the test server refuses calls without the security header', async () => {
    const client = new Client(`unix:${agent.path}`, credentials.createInsecure())
    open.push(client)
    const call = client.makeServerStreamRequest(
      '/SpiffeWorkloadAPI/FetchX509SVID',
      () => Buffer.alloc(0),
      (bytes: Buffer) => bytes,
      {},
    )
    const code = await new Promise((resolve) => {
      call.on('error', (error: { code: status }) => resolve(error.code))
      call.on('data', () => resolve('data'))
    })
    expect(code).toBe(status.INVALID_ARGUMENT)
  })

  test('hears the state and every new one', async () => {
    const { states } = watch()
    await eventually(() => expect(states).toHaveLength(1))
    expect(states[0]).toEqual({
      svids: [
        { spiffeId: ID, certificates: svid.x509_svid, key: svid.x509_svid_key, bundle: root.certificateDer },
      ],
      crls: [],
      federatedBundles: new Map(),
    })
    agent.pushX509({ crl: [Buffer.from('x')], federated_bundles: { 'spiffe://other': root.certificateDer } })
    await eventually(() => expect(states).toHaveLength(2))
    expect(states[1]).toEqual({
      svids: [],
      crls: [Buffer.from('x')],
      federatedBundles: new Map([['spiffe://other', root.certificateDer]]),
    })
  })

  test('comes back after a dropped stream and after a new start of the agent', async () => {
    const { states, failures, health } = watch()
    await eventually(() => expect(states).toHaveLength(1))
    agent.drop()
    await eventually(() => expect(states).toHaveLength(2))
    await agent.suspend()
    await eventually(() => expect(failures.length).toBeGreaterThanOrEqual(3))
    expect(health().problem).toMatch(/UNAVAILABLE/)
    await agent.resume()
    await eventually(() => expect(states.length).toBeGreaterThanOrEqual(3))
    expect(health().problem).toBeUndefined()
  })

  test('hears an agent on a loopback port', async () => {
    await agent.suspend()
    const port = await agent.resume('127.0.0.1:0')
    const { states } = watch(`ipv4:127.0.0.1:${port}`)
    await eventually(() => expect(states).toHaveLength(1))
  })

  test('hears nothing after close', async () => {
    const { api, states, failures } = watch()
    await eventually(() => expect(states).toHaveLength(1))
    api.close()
    await eventually(() => expect(agent.open).toBe(0))
    agent.pushX509({})
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(states).toHaveLength(1)
    expect(failures).toEqual([])
  })

  test('JWT bundles', async () => {
    agent.pushJwtBundles({ 'spiffe://td': '{"keys":[]}' })
    const { api } = watch()
    const states: ReadonlyMap<string, string>[] = []
    api.watchJwtBundles({ message: (state) => states.push(state), failed: () => undefined })
    await eventually(() => expect(states).toEqual([new Map([['spiffe://td', '{"keys":[]}']])]))
  })
})
