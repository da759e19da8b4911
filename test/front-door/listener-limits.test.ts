import { once } from 'node:events'
import { connect } from 'node:http2'
import { afterEach, expect, test } from '@jest/globals'
import {
  checkCall,
  errorOf,
  FRAME,
  FramePeer,
  headerBlock,
  headers,
  CHECK_HEADERS,
  settings,
} from '../support/http2-frames.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api, namespace: shop }
spec: { endpoints: [{ name: get, paths: [/], methods: [GET] }] }
`

let portcullis: TestPortcullis | undefined
const peers: { destroy(): void }[] = []
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.destroy()
  await portcullis?.stop()
})

async function startWith(limits: Readonly<Record<string, unknown>>): Promise<number> {
  portcullis = await startPortcullis(
    { 'policy/api.yaml': POLICY },
    {
      listeners: [
        {
          name: 'mesh',
          address: '127.0.0.1:0',
          peerIdentity: 'Principal',
          principalTrustDomains: ['cluster.local'],
        },
      ],
      health: { listen: '127.0.0.1:0' },
      limits,
    },
  )
  return Number(portcullis.running.listeners[0]?.address.split(':').at(-1))
}

async function peerOf(port: number): Promise<FramePeer> {
  const peer = await FramePeer.greeted(port)
  peers.push(peer)
  return peer
}

async function closedFor(reason: string): Promise<number> {
  const response = await fetch(`http://${portcullis?.running.health}/metrics`)
  const line = (await response.text())
    .split('\n')
    .find((each) => each.startsWith('portcullis_connections_closed_total') && each.includes(`"${reason}"`))
  return Number(line?.split(' ').at(-1))
}

test('a flood is counted, and told once with who sent it', async () => {
  const port = await startWith({})
  expect(await closedFor('settings')).toBe(0)
  for (let count = 0; count < 3; count++) {
    const peer = await peerOf(port)
    peer.send(...Array.from({ length: 200 }, () => settings()))
    await peer.closed
  }
  expect(await closedFor('settings')).toBe(3)
  const lines = (portcullis?.output().log ?? '').split('\n').filter((line) => line.includes('"settings"'))
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('"peer":"127.0.0.1"')
  expect(lines[0]).toContain('"listener":"mesh"')
  expect((await portcullis?.check({ method: 'GET', path: '/' }))?.outcome).toBe('deny')
})

test('connections, of one address and in all', async () => {
  const port = await startWith({ connections: 2, connectionsPerAddress: 1 })
  await peerOf(port)
  const second = await FramePeer.connect(port)
  await second.closed
  expect(await closedFor('connections-of-address')).toBe(1)
  await portcullis?.stop()
  const other = await startWith({ connections: 1 })
  await peerOf(other)
  const third = await FramePeer.connect(other)
  await third.closed
  expect(await closedFor('connections')).toBe(1)
})

test('new connections of one address', async () => {
  const port = await startWith({ connectionsPerAddress: 2, newConnectionsPerAddress: 1 })
  for (let count = 0; count < 2; count++) {
    const peer = await peerOf(port)
    peer.destroy()
    await peer.closed
  }
  const third = await FramePeer.connect(port)
  await third.closed
  expect(await closedFor('new-connections-of-address')).toBe(1)
})

test('streams, and the size and number of headers', async () => {
  const port = await startWith({ streams: 7, headerSize: '8KiB', headers: 16 })
  const session = connect(`http://127.0.0.1:${port}`)
  peers.push(session)
  await once(session, 'remoteSettings')
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 7, maxHeaderListSize: 8192 })
  const peer = await peerOf(port)
  const more = Array.from({ length: 11 }, (_, index) => [`x-${index}`, ''] as const)
  peer.send(headers(1, headerBlock([...CHECK_HEADERS, ...more])))
  expect((await peer.answerOf(1)).map(errorOf)).toEqual(['ENHANCE_YOUR_CALM'])
  peer.send(headers(3, headerBlock([...CHECK_HEADERS, ['x', 'y'.repeat(8192)]])))
  expect((await peer.answerOf(3)).map(errorOf)).toEqual(['ENHANCE_YOUR_CALM'])
  peer.send(checkCall(5))
  expect((await peer.answerOf(5)).some(({ type }) => type === FRAME.data)).toBe(true)
})

test('a peer that is gone without a word is noticed by PING', async () => {
  const port = await startWith({ pingAfter: '1s', pingWait: '1s' })
  const peer = await peerOf(port)
  expect(await peer.until(({ type }) => type === FRAME.ping, 3000)).toBeDefined()
  await peer.closed
  expect(await closedFor('lost')).toBe(1)
})
