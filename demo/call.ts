import { request } from 'node:http'

/**
 * One call as an application makes it, through the Envoy beside it. Prints the status, and the reason of a refusal.
 *   node call.ts METHOD SERVICE PATH
 */
const [method = 'GET', host = '', path = '/'] = process.argv.slice(-3)
const OUTBOUND_PORT = 15_001
const LIMIT_MS = 5000

const calling = request(
  { host: '127.0.0.1', port: OUTBOUND_PORT, method, path, headers: { host }, timeout: LIMIT_MS },
  (response) => {
    response.resume()
    const reason = response.headers['x-portcullis-reason'] ?? ''
    process.stdout.write(`${response.statusCode} ${String(reason)}`.trim() + '\n')
  },
)
calling.on('timeout', () => calling.destroy(new Error('no answer in time')))
calling.on('error', (error) => {
  process.stdout.write(`${error.message}\n`)
  process.exitCode = 1
})
calling.end()
