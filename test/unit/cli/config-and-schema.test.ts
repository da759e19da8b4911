import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Ajv } from 'ajv'
import { Command } from 'commander'
import { parse, parseAllDocuments } from 'yaml'
import { register as registerConfig } from '../../../src/cli/config-print.js'
import type { CliIo } from '../../../src/cli/io.js'
import { register as registerSchema } from '../../../src/cli/schema.js'

let folder: string
let file: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-cli-'))
  file = join(folder, 'portcullis.yaml')
  await writeFile(
    file,
    `apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners: [{ name: mesh, address: "127.0.0.1:0" }]
trustDomains: { cluster.local: { bundle: { file: ca.pem } } }
`,
  )
})
afterAll(() => rm(folder, { recursive: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const io: CliIo = {
    stdout: (text) => void (out += text),
    stderr: (text) => void (err += text),
    env: { PORTCULLIS__DRAIN__DELAY: '1s' },
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command('portcullis').exitOverride()
  registerConfig(program, io)
  registerSchema(program, io)
  await program.parseAsync(args, { from: 'user' })
  return { out, err, exitCode: io.exitCode }
}

describe('config print', () => {
  test('a configuration with problems is not printed', async () => {
    const { out, err, exitCode } = await run(
      'config',
      'print',
      '-c',
      file,
      '--set',
      'store.typ=x',
      '--set',
      'trustDomain=X',
    )
    expect({ out, exitCode }).toEqual({ out: '', exitCode: 2 })
    expect(err.split('\n')).toHaveLength(3)
  })

  test('as YAML with origins, usable as it is', async () => {
    const { out, exitCode } = await run('config', 'print', '-c', file, '--set', 'health.listen=')
    expect(exitCode).toBe(0)
    expect(out).toContain(`name: mesh # ${file}:3:21\n`)
    expect(out).toContain('timeout: 20s # default\n')
    expect(out).toContain('    principalTrustDomains: [] # default\n')
    expect(out).toContain('delay: 1s # PORTCULLIS__DRAIN__DELAY\n')
    expect(out).toContain('listen: "" # --set health.listen\n')
    const again = join(folder, 'again.yaml')
    await writeFile(again, out)
    expect(parse((await run('config', 'print', '-c', again)).out)).toEqual(parse(out))
  })

  test('as JSON', async () => {
    const { out } = await run('config', 'print', '-c', file, '-o', 'json')
    expect(JSON.parse(out)).toMatchObject({
      drain: { delay: '1s' },
      listeners: [{ target: ['principal', 'extension'] }],
    })
  })
})

describe('schema', () => {
  test('an unknown kind', async () => {
    expect(await run('schema', 'ServicePolcy')).toMatchObject({
      out: '',
      err: expect.stringContaining('did you mean `ServicePolicy`?'),
      exitCode: 2,
    })
  })

  test('the kinds', async () => {
    expect((await run('schema')).out.split('\n')).toEqual(
      expect.arrayContaining(['Configuration', 'ServicePolicy', 'BaselinePolicy', 'AdaptivePolicy']),
    )
  })

  test.each(['Configuration', 'ServicePolicy', 'BaselinePolicy', 'AdaptivePolicy'])(
    '%s is JSON Schema for anybody',
    async (kind) => {
      const { out } = await run('schema', kind)
      const schema: Record<string, unknown> = JSON.parse(out)
      expect(JSON.stringify(schema)).not.toContain('"expected":"')
      delete schema['$schema']
      const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema)
      expect(validate({ kind })).toBe(false)
    },
  )

  test('crds are the definitions of every kind', async () => {
    const { out } = await run('schema', 'crds')
    const kinds = parseAllDocuments(out).map((document) => String(document.getIn(['spec', 'names', 'kind'])))
    expect(kinds.join(' ')).toBe(
      'ServicePolicy BaselinePolicy AdaptivePolicy RiskPolicy DevicePolicy DataPolicy',
    )
  })

  test('the published schema takes the file that the program takes', async () => {
    const schema: Record<string, unknown> = JSON.parse((await run('schema', 'Configuration')).out)
    delete schema['$schema']
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema)
    const config: unknown = JSON.parse((await run('config', 'print', '-c', file, '-o', 'json')).out)
    expect(validate(config)).toBe(true)
  })
})
