import { describe, expect, test } from '@jest/globals'
import { requestBody } from '../../../../src/request/body.js'
import { compileConditions, type Condition } from '../../../../src/segmentation/when/condition.js'
import { aCall, factsOf } from '../../../support/facts.js'

const SCOPE = { namespace: 'shop', localTrustDomain: 'cluster.local', hasPlaces: true, hasDevices: false }
const FORM = 'application/x-www-form-urlencoded'
const JSON_RPC =
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","amount":12.5,"dry":false}}'

function holds(condition: Condition, text: string, type = 'application/json', partial = 'false') {
  const { headers } = aCall({
    headers: [
      ['content-type', type],
      ['x-envoy-auth-partial-body', partial],
    ],
  })
  const body = requestBody(() => Buffer.from(text), headers)
  const compiled = compileConditions([condition], ['when'], (_, message) => expect(message).toBe(''), SCOPE)
  return compiled(factsOf({ http: { ...aCall(), body } }))
}

describe('request.body that does not say it in one way can not be evaluated', () => {
  test.each<[condition: Condition, text: string, type?: string, partial?: string]>([
    [{ key: 'request.body[method]', notValues: ['x'] }, JSON_RPC, 'text/plain'],
    [{ key: 'request.body[method]', present: false }, JSON_RPC, 'text/plain'],
    [{ key: 'request.body[method]', notValues: ['x'] }, JSON_RPC, 'application/json', 'true'],
    [{ key: 'request.body[method]', present: false }, JSON_RPC, 'application/json', 'true'],
    [{ key: 'request.body[method]', notValues: ['x'] }, JSON_RPC.slice(0, -1)],
    [{ key: 'request.body[method]', notValues: ['x'] }, `[${JSON_RPC}]`],
    [{ key: 'request.body[no]', notValues: ['x'] }, JSON_RPC],
    [{ key: 'request.body[params]', notValues: ['x'] }, JSON_RPC],
    [{ key: 'request.body[params][amount]', is: true }, JSON_RPC],
    [{ key: 'request.body[method][no]', notValues: ['x'] }, JSON_RPC],
    [{ key: 'request.body[amount]', above: 3 }, 'amount=5', FORM],
    [{ key: 'request.body[to]', notValues: ['x'] }, 'to=a&to=a', FORM],
    [{ key: 'request.body[to][a]', present: true }, 'to=a&to=a', FORM],
    [{ cel: "request.body.to != 'x'" }, 'to=a&to=a', FORM],
    [{ cel: "'to' in request.body" }, 'to=a&to=a', FORM],
    [{ cel: '!has(request.body)' }, JSON_RPC, 'text/plain'],
    [{ key: 'request.body[admin]', present: false }, '[{"admin":true}]'],
    [{ key: 'request.body[admin]', present: false }, '"admin"'],
    [{ key: 'request.body[params][admin]', present: false }, '{"params":[{"admin":true}]}'],
    [{ key: 'request.body[params][admin]', present: false }, '{"params":"admin"}'],
    [{ key: 'request.body[to][a]', present: false }, 'to=a', FORM],
    [{ key: 'request.body[admin]', present: false }, '{"Admin":true}'],
    [{ key: 'request.body[params][admin]', present: false }, '{"PARAMS":{"admin":true}}'],
    [{ key: 'request.body[params][admin]', present: false }, '{"params":{"aDMIN":true}}'],
    [{ key: 'request.body[task]', present: false }, '{"ta\u017f\u212a":true}'],
    [{ key: 'request.body[admin]', present: true }, '{"admin":false,"Admin":true}'],
    [{ key: 'request.body[x]', values: ['y'] }, '{"x":"y","admin":false,"Admin":true}'],
    [{ key: 'request.body[id]', values: ['9007199254740992'] }, '{"id":9007199254740993}'],
    [{ key: 'request.body[id]', notValues: ['9007199254740993'] }, '{"id":9007199254740993}'],
    [{ key: 'request.body[id]', above: 5 }, '{"id":1e300}'],
    [{ key: 'request.body[id]', atMost: 1 }, '{"id":1.00000000000000000001}'],
    [{ key: 'request.body[id]', values: ['5'] }, '{"id":[5,9007199254740993]}'],
    [{ cel: 'request.body.id != 9007199254740993' }, '{"id":9007199254740993}'],
    [{ cel: 'request.body.ids.all(i, i != 5)' }, '{"ids":[9007199254740993]}'],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&to[]=b', FORM],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&to%5Bx%5D=b', FORM],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&to.x=b', FORM],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&to%00x=b', FORM],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&+to=b', FORM],
    [{ key: 'request.body[to]', values: ['a'] }, 'to=a&TO=b', FORM],
    [{ key: 'request.body[to]', present: false }, 'to[]=b', FORM],
    [{ key: 'request.body[to]', present: false }, 'to[]=b&to[]=c', FORM],
    [{ key: 'request.body[to]', present: false }, 'to%00=b', FORM],
    [{ key: 'request.body[to]', present: false }, '+to=b', FORM],
    [{ key: 'request.body[to]', present: false }, 'To=b', FORM],
    [{ cel: '!has(request.body.to)' }, 'to.x=b', FORM],
    [{ cel: "!('to' in request.body)" }, 'to[x]=b', FORM],
  ])('%j of %s', (condition, ...given) => {
    expect(holds(condition, ...given)).toBeUndefined()
  })

  test('nor does one that Envoy did not send', () => {
    const faults: string[] = []
    const condition = { key: 'request.body[a]', present: false }
    const compiled = compileConditions([condition], [], (_, message) => faults.push(message), SCOPE)
    expect([compiled(factsOf({ http: aCall() })), compiled(factsOf({})), faults]).toEqual([
      undefined,
      undefined,
      [],
    ])
  })
})

test.each<[condition: Condition, text: string, type: string, holds: boolean]>([
  [{ key: 'request.body[method]', values: ['tools/*'] }, JSON_RPC, 'application/json', true],
  [{ key: 'request.body[params][name]', notValues: ['pay'] }, JSON_RPC, 'application/json', false],
  [{ key: 'request.body[params][amount]', between: ['10', '20'] }, JSON_RPC, 'application/vnd.x+json', true],
  [{ key: 'request.body[params][dry]', is: true }, JSON_RPC, 'application/json; charset=utf-8', false],
  [{ key: 'request.body[params][no]', present: false }, JSON_RPC, 'application/json', true],
  [{ key: 'request.body[params][no][no]', present: false }, JSON_RPC, 'application/json', true],
  [{ key: 'request.body[a]', present: false }, '{"a":null,"ab":1}', 'application/json', true],
  [{ key: 'request.body[a][b]', present: false }, '{"a":null}', 'application/json', true],
  [{ key: 'request.body[a]', present: true }, '{"a":9007199254740993}', 'application/json', true],
  [{ key: 'request.body[a]', values: ['1.5'] }, '{"a":1.50,"b":9007199254740993}', 'application/json', true],
  [{ key: 'request.body[a]', above: 9e15 }, '{"a":9007199254740991}', 'application/json', true],
  [{ key: 'request.body[c]', present: false }, 'a[]=1&b=2', FORM, true],
  [{ key: 'request.body[to]', present: true }, 'to=a&to[]=b', FORM, true],
  [{ key: 'request.body[b]', values: ['2'] }, 'a[x]=1&a[y]=1&b=2', FORM, true],
  [{ key: 'request.body[to]', values: ['a b'] }, 'from=x&to=a+b', FORM, true],
  [{ key: 'request.body[to]', present: true }, 'to=a&to=b', FORM, true],
  [{ key: 'request.body[from]', values: ['x'] }, 'from=x&to=a&to=b', FORM, true],
  [{ cel: "request.body.from == 'x'" }, 'from=x&to=a&to=b', FORM, true],
])('%j of %s', (condition, text, type, expected) => {
  expect(holds(condition, text, type)).toBe(expected)
})
