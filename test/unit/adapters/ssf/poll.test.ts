import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type Poll, type PollOptions, startPoll, type Taken } from '../../../../src/adapters/ssf/poll.js'
import { eventually } from '../../../support/eventually.js'

type Asked = {
  readonly authorization: string | undefined
  readonly returnImmediately: boolean
  readonly maxEvents: number
  readonly ack?: readonly string[]
  readonly setErrs?: Readonly<Record<string, { readonly err: string }>>
}

const servers: Server[] = []
const polls: Poll[] = []
let asked: Asked[] = []

afterEach(async () => {
  await Promise.all(polls.splice(0).map((poll) => poll.close()))
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  asked = []
})

/** Answers each poll by its number, from 0. */
async function serve(answer: (at: number, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', (chunk: Buffer) => (text += chunk.toString()))
    request.on('end', () => {
      const { authorization } = request.headers
      asked.push({ ...JSON.parse(text), authorization })
      answer(asked.length - 1, response)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  return `http://127.0.0.1:${address.port}/poll`
}

const json = (response: ServerResponse, body: object): void => {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
const EMPTY = { sets: {} }

const until = (met: () => boolean): Promise<void> =>
  eventually(() => {
    if (!met()) throw new Error('not yet')
  })

function start(
  url: string,
  take: PollOptions['take'] = async () => ({ outcome: 'taken', first: true }),
  more: Partial<PollOptions> = {},
): { readonly poll: Poll; readonly warnings: readonly string[] } {
  const warnings: string[] = []
  const warn = (problem: string): void => void warnings.push(problem)
  const poll = startPoll({
    url,
    token: () => 'secret',
    intervalMs: 5,
    take,
    random: () => 0,
    warn,
    longPollMs: 2000,
    answerMs: 2000,
    ...more,
  })
  polls.push(poll)
  return { poll, warnings }
}

describe('a problem that is told once, and polled on', () => {
  test.each<{ name: string; answer: (response: ServerResponse) => void; problem: string }>([
    { name: 'a status', answer: (response) => void response.writeHead(401).end(), problem: 'answered 401' },
    {
      name: 'a redirect',
      answer: (response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      problem: 'answered 302',
    },
    {
      name: 'no JSON',
      answer: (response) => void response.end('lunch'),
      problem: 'did not answer strict JSON',
    },
    {
      name: 'a member twice',
      answer: (response) => void response.end('{"sets":{},"sets":{}}'),
      problem: 'strict JSON',
    },
    { name: 'no sets', answer: (response) => json(response, {}), problem: 'answered without `sets`' },
    {
      name: 'a list of sets',
      answer: (response) => json(response, { sets: [] }),
      problem: 'answered without `sets`',
    },
    {
      name: 'too much',
      answer: (response) => void response.end(Buffer.alloc(1024 * 1024 + 1, 32)),
      problem: 'answered more than 1048576 bytes',
    },
    { name: 'a broken connection', answer: (response) => void response.destroy(), problem: 'not reachable' },
  ])('$name', async ({ answer, problem }) => {
    const { poll, warnings } = start(
      await serve((at, response) => (at < 2 ? answer(response) : json(response, EMPTY))),
    )
    await until(() => asked.length > 2 && poll.problem() === undefined)
    expect(warnings).toEqual([expect.stringContaining(problem)])
    expect(JSON.stringify(warnings)).not.toContain('secret')
  })

  test('an answer that is too large: fewer are asked for at once, and more again later', async () => {
    const large = Buffer.alloc(1024 * 1024 + 1, 32)
    const url = await serve((at, response) => (at < 8 ? void response.end(large) : json(response, EMPTY)))
    const { poll } = start(url, undefined, { intervalMs: 5 })
    await until(() => asked.length > 17)
    expect(asked.slice(0, 18).map(({ maxEvents }) => maxEvents)).toEqual([
      100, 50, 25, 12, 6, 3, 1, 1, 1, 2, 4, 8, 16, 32, 64, 100, 100, 100,
    ])
    expect(poll.problem()).toBeUndefined()
  })

  test('nobody there', async () => {
    const url = await serve(() => undefined)
    const server = servers.pop()
    await new Promise((resolve) => server?.close(resolve))
    const { poll, warnings } = start(url)
    await until(() => poll.problem() !== undefined)
    expect(warnings).toEqual(['not reachable: ECONNREFUSED'])
  })

  test('a server that hangs is told from one that waits for events', async () => {
    const { poll } = start(await serve(() => undefined), undefined, { longPollMs: 50, answerMs: 50 })
    await until(() => poll.problem() !== undefined)
    expect(poll.problem()).toBe('no answer in time')
  })
})

describe('what was taken', () => {
  const taken: Readonly<Record<string, Taken>> = {
    A: { outcome: 'taken', first: true },
    B: { outcome: 'refused', err: 'access_denied', description: 'not yours' },
    C: { outcome: 'later', problem: 'the store is away' },
  }
  test('is acknowledged, what was refused is reported, what has to come again is neither', async () => {
    const url = await serve((at, response) =>
      json(response, at === 0 ? { sets: { a: 'A', b: 'B', c: 'C', d: 7 } } : EMPTY),
    )
    const { warnings } = start(
      url,
      async (text) => taken[text] ?? { outcome: 'later', problem: 'unexpected' },
    )
    await until(() => asked.length > 2)
    expect(asked[0]).toEqual({ authorization: 'Bearer secret', maxEvents: 100, returnImmediately: true })
    expect(asked[1]).toMatchObject({
      returnImmediately: true,
      ack: ['a'],
      setErrs: {
        b: { err: 'access_denied', description: 'not yours' },
        d: { err: 'invalid_request', description: 'not text' },
      },
    })
    // Said once, and then it waits for events.
    expect(asked[2]).toEqual({ authorization: 'Bearer secret', maxEvents: 100, returnImmediately: false })
    expect(warnings).toEqual(['the store is away'])
  })

  test('is acknowledged again where the acknowledgement may not have arrived', async () => {
    const url = await serve((at, response) => {
      if (at === 0) json(response, { sets: { a: 'A' } })
      else if (at === 1) response.destroy()
      else json(response, EMPTY)
    })
    start(url)
    await until(() => asked.length > 2)
    expect(asked[1]?.ack).toEqual(['a'])
    expect(asked[2]?.ack).toEqual(['a'])
  })

  test('makes it ask again at once where there is more and one was refused or repeated for the first time', async () => {
    const url = await serve((at, response) =>
      json(response, { sets: { [at < 3 ? `bad${at}` : `same${at % 2}`]: 'B' }, moreAvailable: true }),
    )
    const refused: Taken = { outcome: 'refused', err: 'access_denied', description: 'not yours' }
    const repeated: Taken = { outcome: 'taken', first: false }
    start(url, async () => (asked.length === 2 ? repeated : refused), { intervalMs: 60_000 })
    await until(() => asked.length >= 6)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(asked).toHaveLength(6)
  })

  test('and does not where it says that there is no more, or signs the same one anew each time', async () => {
    const url = await serve((_at, response) => json(response, { sets: { bad: 'B' } }))
    start(url, async () => ({ outcome: 'refused', err: 'access_denied', description: 'not yours' }), {
      intervalMs: 60_000,
    })
    await until(() => asked.length >= 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(asked).toHaveLength(1)
    const again = await serve((_at, response) => json(response, { sets: { good: 'A' }, moreAvailable: true }))
    start(again, undefined, { intervalMs: 60_000 })
    await until(() => asked.length >= 3)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(asked).toHaveLength(3)
  })

  test('makes it ask again at once, and what comes again and again does not', async () => {
    const url = await serve((at, response) => json(response, { sets: { [`j${at}`]: 'A' } }))
    start(url, async () => ({ outcome: 'taken', first: asked.length < 4 }), { intervalMs: 60_000 })
    await until(() => asked.length >= 4)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(asked).toHaveLength(4)
  })
})

test('one poll at a time, and none after it is closed', async () => {
  let open = 0
  let most = 0
  const url = await serve((_at, response) => {
    open += 1
    most = Math.max(most, open)
    setTimeout(() => {
      open -= 1
      json(response, EMPTY)
    }, 10)
  })
  const { poll } = start(url, undefined, { intervalMs: 1 })
  await until(() => asked.length > 4)
  await poll.close()
  const count = asked.length
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(asked).toHaveLength(count)
  expect(most).toBe(1)
})

test('closing ends a long poll', async () => {
  const url = await serve((at, response) => (at === 0 ? json(response, EMPTY) : undefined))
  const { poll } = start(url, undefined, { longPollMs: 60_000 })
  await until(() => asked.length > 1)
  const startedMs = performance.now()
  await poll.close()
  expect(performance.now() - startedMs).toBeLessThan(1000)
})
