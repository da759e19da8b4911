import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { runCli } from '../../support/cli.js'

let folder: string
let config: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-cli-'))
  config = join(folder, 'portcullis.yaml')
  await writeFile(
    config,
    `apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners: [{ name: mesh, address: "127.0.0.1:0", peerIdentity: None }]
policy: { kubernetes: {} }
`,
  )
  await mkdir(join(folder, 'policy'))
  await writeFile(join(folder, 'policy/api.yaml'), SERVICE)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const SERVICE = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api, namespace: shop }
spec: { endpoints: [{ name: Read, paths: [/read], methods: [GET] }] }
`

test.each([
  ['lint', []],
  ['graph', []],
  ['test', []],
  ['replay', ['records.jsonl']],
  ['check', ['--caller', 'shop/web', '--target', 'shop/api']],
])('%s does not look for files where policy comes from custom resources', async (command, args) => {
  const { stderr, exitCode } = await runCli([command, ...args, '--config', config])
  expect(stderr).toBe(
    'error: this configuration takes policy from custom resources: name a folder with --policy\n',
  )
  expect(exitCode).toBe(2)
})

test('a folder that is named beside it is looked at', async () => {
  const { stdout, exitCode } = await runCli(['graph', '--config', config, '--policy', join(folder, 'policy')])
  expect(stdout).toContain('shop/api')
  expect(exitCode).toBe(0)
})
