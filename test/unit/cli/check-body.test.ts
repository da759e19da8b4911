import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type CliRun, runCli } from '../../support/cli.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: cart, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }, { name: Grpc, grpc: [a.B/C] }]
  rules: [{ name: small, from: [{ services: [cart] }], when: [{ cel: "request.body.amount < 100" }] }]
`
let directory = ''
const at = (name: string) => join(directory, name)
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-check-body-'))
  await writeFile(at('shop.yaml'), POLICY)
  await writeFile(at('small.json'), '{"amount": 5}')
  await writeFile(at('latin.json'), Buffer.from('{"amount": 5, "a": "\xe9"}', 'latin1'))
})
afterAll(() => rm(directory, { recursive: true }))

function check(...args: string[]): Promise<CliRun> {
  const call = ['--caller', 'shop/cart', '--target', 'shop/pay', '--method', 'POST', '--path', '/pay']
  return runCli(['check', '--policy', directory, ...call, ...args])
}
const JSON_TYPE = ['--header', 'Content-Type: application/json']

describe('wrong usage is exit 2 and no decision', () => {
  test.each([
    { name: 'no content type', args: ['--body', '{}'], says: '--body needs --header content-type:…' },
    {
      name: 'no content type of a file',
      args: ['--body-file', 'a'],
      says: '--body-file needs --header content-type:…',
    },
    {
      name: 'two bodies',
      args: [...JSON_TYPE, '--body', '{}', '--body-file', 'a'],
      says: '--body and --body-file exclude each other',
    },
    { name: 'gRPC', args: ['--grpc', 'a.B/C', '--body', '{}'], says: '--body and --grpc exclude each other' },
    {
      name: 'TCP',
      args: ['--tcp', '--port', '5', '--body', '{}'],
      says: '--body and --tcp exclude each other',
    },
    {
      name: 'a file that is not there',
      args: [...JSON_TYPE, '--body-file', '/nowhere.json'],
      says: "--body-file: /nowhere.json can't be read: no such file",
    },
  ])('$name', async ({ args, says }) => {
    const { exitCode, stdout, stderr } = await check(...args)
    expect(stderr).toContain(says)
    expect([exitCode, stdout]).toEqual([2, ''])
  })
})

describe('a body that does not let in is exit 1', () => {
  test('none at all', async () => {
    const { exitCode, stdout } = await check()
    expect(stdout).toMatch(/^DENY {2}rule-not-matched/)
    expect(exitCode).toBe(1)
  })

  test('another amount', async () => {
    expect((await check(...JSON_TYPE, '--body', '{"amount":500}')).stdout).toMatch(
      /^DENY {2}rule-not-matched/,
    )
  })

  test.each([
    { name: 'not JSON', args: [...JSON_TYPE, '--body', '{'] },
    { name: 'not UTF-8', args: () => [...JSON_TYPE, '--body-file', at('latin.json')] },
    { name: 'of another type', args: ['--header', 'content-type:text/plain', '--body', '{"amount":5}'] },
    {
      name: 'cut off by Envoy',
      args: [...JSON_TYPE, '--header', 'x-envoy-auth-partial-body:true', '--body', '{"amount":5}'],
    },
  ])('one that can not be read is told: $name', async ({ args }) => {
    const { exitCode, stdout } = await check(...(typeof args === 'function' ? args() : args))
    expect(stdout).toMatch(/^DENY {2}rule-not-matched/)
    expect(stdout).toMatch(/\n {2}✗ body +can't be read, as on a server: /)
    expect(exitCode).toBe(1)
  })
})

test.each([
  { name: 'text', args: ['--body', '{"amount":5}'] },
  { name: 'a file', args: () => ['--body-file', at('small.json')] },
])('a body that lets in is exit 0: $name', async ({ args }) => {
  const { exitCode, stdout } = await check(...JSON_TYPE, ...(typeof args === 'function' ? args() : args))
  expect(stdout).toMatch(/^ALLOW {2}allowed/)
  expect(stdout).not.toContain('as on a server')
  expect(exitCode).toBe(0)
})
