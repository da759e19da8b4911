import { Agent, request } from 'node:http'

/** Runs in a pod beside an Envoy: steady calls through it, one line of JSON for each. */

/** An edge that the policy has, and an endpoint that nobody exposes. */
const CALLS = [
  { kind: 'allowed', method: 'GET', path: '/api/stock/lamp', host: 'inventory-service' },
  { kind: 'denied', method: 'GET', path: '/actuator/env', host: 'inventory-service' },
] as const

const OUTBOUND_PORT = 15_001
const INTERVAL_MS = 50
const DEADLINE_MS = 5000
const agent = new Agent({ keepAlive: true })

function call({ kind, method, path, host }: (typeof CALLS)[number]): void {
  const at = Date.now()
  let isTold = false
  const tell = (status: number | string, reason?: string): void => {
    if (isTold) return
    isTold = true
    process.stdout.write(`${JSON.stringify({ at, kind, status, reason, took: Date.now() - at })}\n`)
  }
  const options = { host: '127.0.0.1', port: OUTBOUND_PORT, method, path, agent, timeout: DEADLINE_MS }
  const asking = request({ ...options, headers: { host } }, (response) => {
    response.resume()
    const reason = response.headers['x-portcullis-reason']
    response.on('end', () =>
      tell(response.statusCode ?? 0, reason === undefined ? undefined : String(reason)),
    )
    response.on('error', (error) => tell(error.message))
  })
  asking.on('timeout', () => asking.destroy(new Error('no answer in time')))
  asking.on('error', (error) => tell(error.message))
  asking.end()
}

setInterval(() => {
  for (const one of CALLS) call(one)
}, INTERVAL_MS)
process.on('SIGTERM', () => process.exit())
