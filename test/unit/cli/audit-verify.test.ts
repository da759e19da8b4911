import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { appendLine as chain, splitLine } from '../../../src/audit/chain/chain-line.js'
import type { FindingKind } from '../../../src/audit/chain/finding.js'
import {
  parseSigningPublicKey,
  type SignatureCheck,
  signatureCheckOf,
  type SignatureVerdict,
} from '../../../src/audit/chain/signature-check.js'
import { verifyLog } from '../../../src/cli/audit-verify-log.js'
import { StreamVerifier } from '../../../src/audit/chain/verify-stream.js'
import { parseLogFileName } from '../../../src/audit/chain/file-names.js'
import { sampleLog, SampleStream, signingPair } from '../../support/audit-sample.js'
import { generator } from '../../support/naive-mesh.js'
import { runCli } from '../../support/cli.js'

type Files = ReadonlyMap<string, Buffer>
type Found = { kind: FindingKind; file: string; line: number; toLine?: number | undefined; message: string }

const { signer, publicPem } = signingPair()
const stranger = signingPair()
const key = parseSigningPublicKey(publicPem)
if (!key.ok) throw new Error(key.problem)
const checkEach = signatureCheckOf(new Map([[key.keyId, key.key]]))
const verdicts = new Map<string, SignatureVerdict>()
/** Most lines are the same in every sample. */
const checkSignature: SignatureCheck = (previousHash, signature) => {
  const of = [previousHash, signature.keyId, signature.signature, signature.unsigned.toString('latin1')].join(
    ' ',
  )
  const verdict = verdicts.get(of) ?? checkEach(previousHash, signature)
  verdicts.set(of, verdict)
  return verdict
}

const CLOSED = sampleLog(signer)
const LIVE = sampleLog(signer, false)
const LINE_FILES = [...CLOSED.keys()].filter((name) => name.endsWith('.jsonl'))
const HEADS = [...CLOSED.keys()].filter((name) => name.endsWith('.head'))

let root = ''
let folders = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'audit-verify-'))
})
afterAll(() => rmSync(root, { recursive: true }))

function folderOf(files: Files): string {
  const folder = join(root, String(folders++))
  mkdirSync(folder)
  for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes)
  return folder
}

async function found(files: Files): Promise<readonly Found[]> {
  const folder = folderOf(files)
  try {
    const options = {
      checkSignature,
      expectsSignatures: true,
      heads: new Map(),
      waitMs: 0,
      onProgress: () => undefined,
    }
    const { streams } = await verifyLog({ folder, stem: 'events' }, options)
    return streams.flatMap(({ findings }) => findings)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const linesOf = (bytes: Buffer | undefined): string[] =>
  (bytes?.toString('latin1') ?? '').split('\n').slice(0, -1)
const bytesOf = (lines: readonly string[]): Buffer =>
  Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')
const withFile = (files: Files, name: string, bytes: Buffer): Files => new Map([...files, [name, bytes]])
const without = (files: Files, ...names: string[]): Files =>
  new Map([...files].filter(([name]) => !names.includes(name)))

/** Something is found at one of these lines of the file. */
function expectAt(findings: readonly Found[], file: string, ...lines: number[]): void {
  const hit = findings.some(
    (each) =>
      each.file === file && lines.some((line) => each.line <= line && line <= (each.toLine ?? each.line)),
  )
  if (!hit)
    throw new Error(`nothing at ${file}:${lines.join(' or ')}, but ${JSON.stringify(findings, undefined, 1)}`)
}

const EACH_LINE = LINE_FILES.flatMap((file) =>
  linesOf(CLOSED.get(file)).map((text, index) => ({ file, line: index + 1, text })),
)

test('the sample is what it should be', async () => {
  expect(EACH_LINE.length).toBeGreaterThan(35)
  expect(LINE_FILES).toHaveLength(5)
  expect(await found(CLOSED)).toEqual([])
  expect(await found(LIVE)).toEqual([])
})

describe('a change of any line is found and placed', () => {
  test.each(EACH_LINE)('$file:$line changed', async ({ file, line, text }) => {
    for (const at of [
      0,
      1,
      Math.floor(text.length / 2),
      text.length - 50,
      text.length - 4,
      text.length - 1,
    ]) {
      const lines = linesOf(CLOSED.get(file))
      lines[line - 1] = `${text.slice(0, at)}${text[at] === 'x' ? 'y' : 'x'}${text.slice(at + 1)}`
      const findings = await found(withFile(CLOSED, file, bytesOf(lines)))
      expectAt(findings, file, line)
      // A start that can't be trusted accounts for nothing torn, a retention for nothing removed.
      expect(findings.length).toBeLessThanOrEqual(3)
    }
  })

  test.each(EACH_LINE)('$file:$line removed', async ({ file, line }) => {
    const before = linesOf(CLOSED.get(file))[line - 2] ?? ''
    const lines = linesOf(CLOSED.get(file)).toSpliced(line - 1, 1)
    const findings = await found(withFile(CLOSED, file, bytesOf(lines)))
    // Behind torn bytes they look like the line that is missing.
    expectAt(findings, file, line, ...(before.includes('timest\0amp') ? [line - 1] : []))
  })

  test.each(EACH_LINE)('$file:$line doubled', async ({ file, line, text }) => {
    const lines = linesOf(CLOSED.get(file)).toSpliced(line, 0, text)
    expectAt(await found(withFile(CLOSED, file, bytesOf(lines))), file, line, line + 1, line + 2)
  })

  test.each(EACH_LINE)('$file:$line and the next swapped', async ({ file, line, text }) => {
    const lines = linesOf(CLOSED.get(file))
    const next = lines[line]
    if (next === undefined) return
    lines.splice(line - 1, 2, next, text)
    expectAt(await found(withFile(CLOSED, file, bytesOf(lines))), file, line, line + 1, line + 2)
  })

  test.each(EACH_LINE)('cut off before $file:$line', async ({ file, line }) => {
    const lines = linesOf(CLOSED.get(file)).slice(0, line - 1)
    const findings = await found(withFile(CLOSED, file, bytesOf(lines)))
    if (line > 1) expectAt(findings, file, line)
    else expect(findings.length).toBeGreaterThan(0)
  })

  test.each(EACH_LINE)('a line put in before $file:$line', async ({ file, line, text }) => {
    for (const put of ['', 'garbage', '{"a":1}', text.replace(/"seq":\d+/, '"seq":999')]) {
      const lines = linesOf(CLOSED.get(file)).toSpliced(line - 1, 0, put)
      expectAt(await found(withFile(CLOSED, file, bytesOf(lines))), file, line, line + 1)
    }
  })

  test.each(EACH_LINE)('$file:$line moved to the end of the file', async ({ file, line, text }) => {
    const lines = [...linesOf(CLOSED.get(file)).toSpliced(line - 1, 1), text]
    if (line === lines.length) return
    const isBehindTorn = (linesOf(CLOSED.get(file))[line - 2] ?? '').includes('timest\0amp')
    const findings = await found(withFile(CLOSED, file, bytesOf(lines)))
    expectAt(findings, file, line, line + 1, ...(isBehindTorn ? [line - 1] : []))
  })
})

/** Not a copy of the product's own chain: what a forger without a key would write. */
function rechained(files: Files, file: string, change: (lines: string[]) => string[]): Files {
  const stream = file.startsWith('events.restricted') ? 'restricted' : 'default'
  const names = LINE_FILES.filter(
    (name) => name.startsWith('events.restricted') === (stream === 'restricted'),
  )
  const ordered = names.toSorted((left, right) =>
    left.length === right.length ? (left < right ? -1 : 1) : right.length - left.length,
  )
  const result = new Map(files)
  let end: { seq: number; hash: string } | undefined
  for (const name of ordered) {
    let lines = linesOf(files.get(name))
    if (name === file) lines = change(lines)
    const out: string[] = []
    for (const line of lines) {
      const at = line.lastIndexOf(',"chain":')
      const body = at < 0 ? undefined : line.slice(0, at)
      if (body === undefined) {
        out.push(line)
        continue
      }
      end ??= {
        seq: Number(/"seq":(\d+)/.exec(line.slice(at))?.[1]) - 1,
        hash: /"previousHash":"([^"]+)"/.exec(line)?.[1] ?? '',
      }
      const chained = chain(end, body)
      out.push(chained.line)
      end = chained
    }
    result.set(name, bytesOf(out))
  }
  return result
}

describe('a forger without the key', () => {
  test.each(EACH_LINE.filter(({ text }) => text.includes('"eventType":"authorization"')))(
    '$file:$line changed and all lines chained anew: the next signed line tells',
    async ({ file, line }) => {
      const findings = await found(
        rechained(CLOSED, file, (lines) =>
          lines.with(line - 1, (lines[line - 1] ?? '').replace('"allow"', '"deny"')),
        ),
      )
      const lines = linesOf(CLOSED.get(file))
      const next = lines.findIndex((text, index) => index >= line && text.includes('"signature"')) + 1
      expectAt(
        findings.filter(({ kind }) => kind === 'bad-signature'),
        file,
        next,
      )
    },
  )
})

/** Signed by somebody whose key is not given, from the first line on. */
const FORGED = sampleLog(stranger.signer)

describe('signatures', () => {
  test('a log that another key signed whole', async () => {
    const findings = await found(FORGED)
    expect(findings.map(({ kind }) => kind)).toEqual(['unknown-key', 'unknown-key', 'missing'])
  })

  test('a log without any signature, where a key is given', async () => {
    const findings = await found(sampleLog(undefined))
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(['unsigned']))
  })

  test("a signature under the right key's name by another key", async () => {
    const forger = { keyId: signer.keyId, sign: stranger.signer.sign }
    const findings = await found(sampleLog(forger))
    expect(findings.length).toBeGreaterThan(5)
    expect(findings.filter(({ kind }) => kind !== 'bad-signature' && kind !== 'missing')).toEqual([])
  })

  test('a checkpoint without a signature behind signed ones', async () => {
    const stream = new SampleStream('default', signer).opened('new').events(2).checkpoint('interval')
    const forged = new SampleStream('default', undefined)
    forged.continueAfter(stream.end).events(1).checkpoint('close').done()
    const active = Buffer.concat([
      stream.done().files.get('events.jsonl') ?? Buffer.alloc(0),
      forged.files.get('events.jsonl') ?? Buffer.alloc(0),
    ])
    const files = new Map([
      ['events.jsonl', active],
      ['events.head', forged.files.get('events.head') ?? Buffer.alloc(0)],
    ])
    const findings = await found(files)
    expect(findings).toMatchObject([{ kind: 'unsigned', file: 'events.jsonl', line: 6 }])
  })

  test('lines written before signing began are vouched for by the first signature', async () => {
    const early = new SampleStream('default', undefined).opened('new').events(2).checkpoint('rotation')
    const later = new SampleStream('default', signer)
    later.continueAfter(early.end).opened('start').events(1).checkpoint('close').done()
    expect(await found(new Map([...early.files, ...later.files]))).toEqual([])
    const name = 'events.000000000001.jsonl'
    const lines = linesOf(early.files.get(name))
    const changed = bytesOf(lines.with(1, (lines[1] ?? '').replace('allow', 'alloy')))
    expectAt(await found(new Map([...early.files, ...later.files, [name, changed]])), name, 2)
  })
})

describe('files', () => {
  test.each(LINE_FILES)('%s removed', async (file) => {
    const findings = await found(without(CLOSED, file))
    const isActive = !/\d/.test(file)
    const expected: readonly FindingKind[] = isActive ? ['truncated'] : ['missing']
    expect(findings.filter(({ kind }) => expected.includes(kind)).length).toBeGreaterThan(0)
  })

  test.each(LINE_FILES)('%s emptied', async (file) => {
    expect((await found(withFile(CLOSED, file, Buffer.alloc(0)))).length).toBeGreaterThan(0)
  })

  test.each(HEADS)('%s removed', async (head) => {
    expect(await found(without(CLOSED, head))).toMatchObject([{ kind: 'head', file: head }])
  })

  test.each(HEADS)('%s is no line', async (head) => {
    expect(await found(withFile(CLOSED, head, Buffer.from('nonsense\n')))).toMatchObject([
      { kind: 'head', file: head },
    ])
  })

  test.each(HEADS)('a byte of %s changed', async (head) => {
    const bytes = CLOSED.get(head) ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = Buffer.from(bytes)
      changed[at] = bytes[at] === 0x78 ? 0x79 : 0x78
      const findings = await found(withFile(CLOSED, head, changed))
      if (findings.length === 0) throw new Error(`byte ${at} of ${head} changed unnoticed`)
    }
  })

  test('heads swapped', async () => {
    const [one = '', other = ''] = HEADS
    const swapped = new Map([...CLOSED, [one, CLOSED.get(other)], [other, CLOSED.get(one)]] as [
      string,
      Buffer,
    ][])
    expect((await found(swapped)).length).toBeGreaterThan(0)
  })

  const PAIRS = LINE_FILES.flatMap((one, index) =>
    LINE_FILES.slice(index + 1).map((other) => ({ one, other })),
  )
  test.each(PAIRS)('$one and $other swapped', async ({ one, other }) => {
    const swapped = new Map(CLOSED)
    swapped.set(one, CLOSED.get(other) ?? Buffer.alloc(0)).set(other, CLOSED.get(one) ?? Buffer.alloc(0))
    const findings = await found(swapped)
    expect(findings.some(({ file }) => file === one || file === other)).toBe(true)
  })

  test.each(LINE_FILES)('%s copied under another number', async (file) => {
    const copy = file.replace(/(?:\.\d{12})?\.jsonl$/, '.000000000777.jsonl')
    expectAt(await found(withFile(CLOSED, copy, CLOSED.get(file) ?? Buffer.alloc(0))), copy, 1)
  })

  test.each(['events.000000000001.jsonl', 'events.restricted.000000000005.jsonl'])(
    '%s under another number',
    async (file) => {
      const other = file.replace(/\d{12}/, '000000000002')
      const findings = await found(
        withFile(without(CLOSED, file), other, CLOSED.get(file) ?? Buffer.alloc(0)),
      )
      expect(findings).toMatchObject([{ kind: 'misplaced', file: other, line: 1 }])
    },
  )

  test('a whole stream deleted', async () => {
    const restricted = [...CLOSED.keys()].filter((name) => name.includes('restricted'))
    expect(await found(without(CLOSED, ...restricted))).toMatchObject([
      { kind: 'stream-missing', file: 'events.restricted.jsonl' },
      { kind: 'truncated' },
    ])
    const main = [...CLOSED.keys()].filter((name) => !name.includes('restricted'))
    expect(await found(without(CLOSED, ...main))).toMatchObject([
      { kind: 'stream-missing', file: 'events.jsonl' },
    ])
  })

  test('a stream put back to an older state: the default stream knows better', async () => {
    const names = [...LIVE.keys()].filter((name) => name.includes('restricted'))
    const files = new Map([
      ...CLOSED,
      ...names.map((name): [string, Buffer] => [name, LIVE.get(name) ?? Buffer.alloc(0)]),
    ])
    const lines = linesOf(LIVE.get('events.restricted.jsonl'))
    expectAt(await found(files), 'events.restricted.jsonl', lines.length + 1)
  })
})

/** As `found`, of the default stream and in memory. */
function foundInStream(files: Files): readonly Found[] {
  const head = splitLine(files.get('events.head')?.subarray(0, -1) ?? Buffer.alloc(0))
  const verifier = new StreamVerifier({
    stream: 'default',
    checkSignature,
    expectsSignatures: true,
    witnesses: head ? [{ ...head, by: 'head-file', told: 'events.head' }] : [],
  })
  for (const name of ['events.000000000001.jsonl', 'events.000000000008.jsonl', 'events.jsonl']) {
    const file = parseLogFileName('events', name)
    if (file) verifier.beginFile(file)
    const text = files.get(name)?.toString('latin1').split('\n') ?? []
    for (const [index, line] of text.entries()) {
      const isEnded = index < text.length - 1
      if (isEnded || line !== '') verifier.line(Buffer.from(line, 'latin1'), isEnded)
    }
  }
  return verifier.end().findings
}

describe('at every byte', () => {
  const last = CLOSED.get('events.jsonl') ?? Buffer.alloc(0)

  test('the sample is intact', () => {
    expect(foundInStream(CLOSED)).toEqual([])
  })

  test('cut', () => {
    for (let at = 0; at < last.length; at++) {
      const cut = last.subarray(0, at)
      const line = cut.toString('latin1').split('\n').length
      expectAt(foundInStream(withFile(CLOSED, 'events.jsonl', cut)), 'events.jsonl', line)
    }
  })

  test('changed', () => {
    for (let at = 0; at < last.length; at++) {
      const changed = Buffer.from(last)
      changed[at] = last[at] === 0x78 ? 0x79 : 0x78
      const line = last.subarray(0, at).toString('latin1').split('\n').length
      expectAt(foundInStream(withFile(CLOSED, 'events.jsonl', changed)), 'events.jsonl', line)
    }
  })

  test('a line feed put in', () => {
    for (let at = 0; at <= last.length; at++) {
      const changed = Buffer.concat([last.subarray(0, at), Buffer.from('\n'), last.subarray(at)])
      const line = last.subarray(0, at).toString('latin1').split('\n').length
      expectAt(
        foundInStream(withFile(CLOSED, 'events.jsonl', changed)),
        'events.jsonl',
        line - 1,
        line,
        line + 1,
      )
    }
  })
})

test('several changes at once, at random', () => {
  const { below, one } = generator(11)
  const names = ['events.000000000001.jsonl', 'events.000000000008.jsonl', 'events.jsonl']
  for (let round = 0; round < 500; round++) {
    const lines = new Map(names.map((name) => [name, linesOf(CLOSED.get(name))]))
    for (let changes = 1 + below(5); changes > 0; changes--) {
      const [of, to] = [lines.get(one(names)) ?? [], lines.get(one(names)) ?? []]
      const at = below(of.length)
      const line = of[at] ?? ''
      const place = below(line.length)
      switch (below(6)) {
        case 0:
          of.splice(at, 1)
          break
        case 1:
          to.splice(below(to.length + 1), 0, line)
          break
        case 2:
          to.splice(below(to.length + 1), 0, ...of.splice(at, 1 + below(4)))
          break
        case 3:
          of[at] = `${line.slice(0, place)}${String.fromCharCode(32 + below(90))}${line.slice(place + 1)}`
          break
        case 4:
          of[at] = line.replace(/"seq":\d+/, `"seq":${1 + below(30)}`)
          break
        default:
          of.splice(at, 1, line.slice(0, place), line.slice(place))
      }
    }
    const files = new Map([
      ...CLOSED,
      ...[...lines].map(([name, each]): [string, Buffer] => [name, bytesOf(each)]),
    ])
    const isSame = names.every((name) => CLOSED.get(name)?.equals(files.get(name) ?? Buffer.alloc(0)))
    if (!isSame && foundInStream(files).length === 0) throw new Error(`round ${round}: nothing was found`)
  }
})

describe('hostile bytes', () => {
  const random = generator(7)
  const byte = (): number => random.below(256)
  const KINDS: readonly { name: string; make: () => Buffer }[] = [
    { name: 'random bytes', make: () => Buffer.from(Array.from({ length: 3000 }, byte)) },
    { name: 'NUL bytes', make: () => Buffer.alloc(1024 * 1024) },
    { name: 'a line of 1 MB', make: () => Buffer.from(`{"a":"${'x'.repeat(1024 * 1024)}"}\n`) },
    { name: 'a line of 20 MB', make: () => Buffer.alloc(20 * 1024 * 1024, 'x') },
    { name: 'invalid UTF-8', make: () => Buffer.from('{"\xff\xfe\xc3":"\xed\xa0\x80"}\n', 'latin1') },
    { name: 'line feeds', make: () => Buffer.alloc(10_000, '\n') },
    { name: 'deep JSON', make: () => Buffer.from(`{"eventType":"audit-opened","a":${'['.repeat(50_000)}\n`) },
    {
      name: 'a chain with a huge number',
      make: () => Buffer.from(`{"a":1,"chain":{"seq":9999999999999999,"hash":"${'A'.repeat(43)}"}}\n`),
    },
    {
      name: 'chains without an order',
      make: () =>
        Buffer.from(
          Array.from(
            { length: 5000 },
            () => `{"a":1,"chain":{"seq":${1 + random.below(1e6)},"hash":"${'A'.repeat(43)}"}}\n`,
          ).join(''),
        ),
    },
  ]
  test.each(KINDS)('$name before, between and behind lines', async ({ make }) => {
    const bytes = CLOSED.get('events.jsonl') ?? Buffer.alloc(0)
    const middle = bytes.indexOf('\n', bytes.length / 2) + 1
    for (const at of [0, middle, bytes.length]) {
      const put = Buffer.concat([bytes.subarray(0, at), make(), bytes.subarray(at)])
      const findings = await found(withFile(CLOSED, 'events.jsonl', put))
      expect(findings.length).toBeGreaterThan(0)
      expect(findings.length).toBeLessThanOrEqual(1100)
    }
  })

  test('lines of a log about itself with fields of any type', () => {
    const values = ['null', '1e400', '-1', '"x"', '[]', '{}', '{"restricted":1}', '[{}]', '9007199254740993']
    for (const type of ['audit-opened', 'audit-checkpoint', 'audit-retention', 'audit-other', 'audit-']) {
      for (const value of values) {
        const body = `{"schemaVersion":"1.0","timestamp":"2026-11-25T08:00:00Z","eventType":"${type}","stream":"default","reason":${value},"previousSeq":${value},"previousHash":${value},"covered":${value},"streams":${value},"removed":${value}`
        const line = chain({ seq: 0, hash: 'A'.repeat(43) }, body).line
        expect(foundInStream(new Map([['events.jsonl', Buffer.from(`${line}\n`)]])).length).toBeGreaterThan(0)
      }
    }
  })
})

test('a log without a line is no intact one', async () => {
  const findings = await found(new Map([['events.jsonl', Buffer.alloc(0)]]))
  expect(findings).toMatchObject([{ kind: 'truncated', file: 'events.jsonl', line: 1 }])
})

test('what was removed before signing began is accounted for by a line of that time', async () => {
  const early = new SampleStream('default', undefined).opened('new').events(1).checkpoint('rotation')
  const first = early.lastClosed
  early.opened('rotation').retention([first]).checkpoint('rotation').files.delete(first.file)
  const later = new SampleStream('default', signer).continueAfter(early.end)
  later.opened('start').checkpoint('close').done()
  expect(await found(new Map([...early.files, ...later.files]))).toEqual([])
})

describe('portcullis audit verify', () => {
  const keyFile = (name: string, pem: string): string => {
    const file = join(root, name)
    writeFileSync(file, pem)
    return file
  }
  const verify = async (...args: string[]) => runCli(['audit', 'verify', ...args])
  const hashOf = (files: Files, seq: number): string =>
    LINE_FILES.filter((name) => !name.includes('restricted'))
      .flatMap((name) => linesOf(files.get(name)))
      .flatMap((line) => new RegExp(`"chain":\\{"seq":${seq},"hash":"([^"]+)"`).exec(line)?.[1] ?? [])[0] ??
    ''

  test('refuses wrong usage', async () => {
    const folder = folderOf(CLOSED)
    const unsigned = folderOf(sampleLog(undefined))
    const empty = folderOf(new Map())
    const good = keyFile('good.pem', publicPem)
    const table: readonly { args: string[]; err: RegExp }[] = [
      { args: [folder], err: /events\.jsonl is signed: name the public key with --key, or --chain-only/ },
      { args: ['--key', good, '--chain-only', folder], err: /exclude each other/ },
      { args: ['--key', join(root, 'none.pem'), folder], err: /none\.pem/ },
      { args: ['--key', keyFile('private.pem', stranger.privatePem), folder], err: /it holds a private key/ },
      { args: ['--key', keyFile('text.pem', 'hello'), folder], err: /text\.pem: it holds no public key/ },
      { args: ['--key', good, join(root, 'nowhere')], err: /nowhere can't be read: no such file/ },
      { args: ['--key', good, join(folder, 'x.jsonl')], err: /x\.jsonl can't be read: no such file/ },
      { args: ['--key', good, good], err: /good\.pem can't be read: no name of an audit log/ },
      { args: ['--key', good, empty], err: /there is no audit log in/ },
      { args: ['--key', good, '--head', 'x', folder], err: /give number and hash of a line/ },
      {
        args: ['--chain-only', '--head', `1:${'A'.repeat(43)}`, folder, unsigned],
        err: /--head is of one log, and there are 2/,
      },
    ]
    for (const { args, err } of table) {
      const ran = await verify(...args)
      expect({ args, exitCode: ran.exitCode, stdout: ran.stdout }).toEqual({ args, exitCode: 2, stdout: '' })
      expect(ran.stderr).toMatch(err)
    }
  })

  test('tells findings with their place, and exits with 1', async () => {
    const lines = linesOf(CLOSED.get('events.jsonl'))
    const changed = lines.with(2, (lines[2] ?? '').replace('"close"', '"clone"'))
    const folder = folderOf(withFile(CLOSED, 'events.jsonl', bytesOf(changed)))
    const { exitCode, stdout } = await verify(
      '--key',
      keyFile('a.pem', publicPem),
      join(folder, 'events.jsonl'),
    )
    expect(exitCode).toBe(1)
    expect(stdout).toContain(
      `${folder}/events.jsonl:3: changed: not as it was written (line 17 of the stream)\n`,
    )
    expect(stdout).toContain(`${folder}/events.jsonl: 1 finding\n`)
  })

  test('tells how far an intact log is signed', async () => {
    const closed = await verify('--key', keyFile('b.pem', publicPem), folderOf(CLOSED))
    expect(closed.exitCode).toBe(0)
    expect(closed.stdout).toMatch(
      /signed up to line 24 \(.*\/events\.jsonl:10, 2026-.*Z\) with the key .{43}, and closed there/,
    )
    expect(closed.stdout).toContain('lines up to 4 were removed by retention')
    expect(closed.stdout).toContain('34 bytes of torn lines')
    expect(closed.stdout).toMatch(/events\.jsonl: intact\n$/)
    const live = await verify('--key', join(root, 'b.pem'), folderOf(LIVE))
    expect(live.exitCode).toBe(0)
    expect(live.stdout).toContain(
      '2 lines behind it are not signed yet: could be changed or cut off unnoticed',
    )
  })

  test('says what an unsigned log and an unchecked one are worth', async () => {
    const unsigned = await verify(folderOf(sampleLog(undefined)))
    expect(unsigned).toMatchObject({ exitCode: 0, stderr: '' })
    expect(unsigned.stdout).toContain('not signed: shows accidents and clumsy changes')
    const unchecked = await verify('--chain-only', folderOf(CLOSED))
    expect(unchecked.exitCode).toBe(0)
    expect(unchecked.stdout).toContain('signatures were not checked')
  })

  test('--head finds that the whole folder was put back', async () => {
    const noted = `24:${hashOf(CLOSED, 24)}`
    const pem = keyFile('c.pem', publicPem)
    expect((await verify('--key', pem, '--head', noted, folderOf(CLOSED))).exitCode).toBe(0)
    const back = await verify('--key', pem, '--head', noted, folderOf(LIVE))
    expect(back.exitCode).toBe(1)
    expect(back.stdout).toMatch(
      /events\.jsonl:10: truncated: the log ends with line 23, and --head names line 24/,
    )
    const forked = await verify('--key', pem, '--head', `default=20:${'B'.repeat(43)}`, folderOf(CLOSED))
    expect(forked.stdout).toMatch(/events\.jsonl:6: forked: another line 20 than --head knows/)
    const old = await verify('--key', pem, '--head', `restricted=2:${'B'.repeat(43)}`, folderOf(CLOSED))
    expect(old.stdout).toMatch(/head: --head names line 2, which is older than the first that is there/)
    const gone = await verify('--key', pem, '--head', `secret=2:${'B'.repeat(43)}`, folderOf(CLOSED))
    expect(gone.stdout).toMatch(/events\.secret\.jsonl: stream-missing/)
  })

  test('tells of a stream that no checkpoint names', async () => {
    const stray = new SampleStream('stray', signer).opened('new').events(1).checkpoint('close').done()
    const folder = folderOf(new Map([...CLOSED, ...stray.files]))
    const { exitCode, stdout } = await verify('--key', keyFile('g.pem', publicPem), folder)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/stray: lines 1 to 3 in 1 file\n {2}no checkpoint of the default stream names it/)
  })

  test('-o json has the same for programs', async () => {
    const folder = folderOf(new Map([...LIVE, ['checks.jsonl', Buffer.from('{"recordVersion":1}\n')]]))
    const { exitCode, stdout } = await verify('--key', keyFile('d.pem', publicPem), '-o', 'json', folder)
    expect(exitCode).toBe(0)
    const report: unknown = JSON.parse(stdout)
    expect(report).toMatchObject({
      intact: true,
      signaturesChecked: true,
      noLogs: [join(folder, 'checks.jsonl')],
      logs: [
        {
          log: join(folder, 'events.jsonl'),
          streams: [
            {
              stream: 'default',
              first: 1,
              last: { seq: 23 },
              signedUpTo: { seq: 21 },
              notSignedYet: 2,
              findings: [],
            },
            { stream: 'restricted', first: 5, removedTo: 4, findings: [] },
          ],
        },
      ],
    })
  })

  test('what a log says paints no terminal', async () => {
    const lines = linesOf(CLOSED.get('events.jsonl'))
    const evil = Buffer.concat([bytesOf(lines.slice(0, 2)), Buffer.from(`{"eventType":"audit-\u001b[2J"}\n`)])
    const { stdout } = await verify(
      '--key',
      keyFile('e.pem', publicPem),
      folderOf(withFile(CLOSED, 'events.jsonl', evil)),
    )
    expect(stdout).not.toContain('\u001b')
  })

  test('a line that is being written is waited for', async () => {
    const bytes = LIVE.get('events.jsonl') ?? Buffer.alloc(0)
    const folder = folderOf(withFile(LIVE, 'events.jsonl', bytes.subarray(0, -20)))
    const running = verify('--key', keyFile('f.pem', publicPem), folder)
    setTimeout(() => appendFileSync(join(folder, 'events.jsonl'), bytes.subarray(-20)), 150)
    expect((await running).exitCode).toBe(0)
    writeFileSync(join(folder, 'events.jsonl'), bytes.subarray(0, -20))
    const cut = await verify('--key', join(root, 'f.pem'), folder)
    expect(cut.exitCode).toBe(1)
    expect(cut.stdout).toMatch(/events\.jsonl:9: incomplete: the file ends in the middle of this line/)
  })
})
