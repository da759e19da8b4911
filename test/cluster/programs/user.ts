import { request } from 'node:http'

/**
 * Runs in a pod beside an Envoy: one user's call again and again for a while. Prints each answer as JSON.
 * Arguments: the `authorization` value and how long, milliseconds.
 */
const [authorization = '', limit = ''] = process.argv.slice(-2)
const INTERVAL_MS = 10
const SETTLE_MS = 1000

function call(): void {
  const at = Date.now()
  const headers = { host: 'payment-service', authorization }
  const asking = request(
    { host: '127.0.0.1', port: 15_001, method: 'POST', path: '/api/payments', headers },
    (response) => {
      response.resume()
      const reason = response.headers['x-portcullis-reason']
      process.stdout.write(`${JSON.stringify({ at, status: response.statusCode, reason })}\n`)
    },
  )
  asking.on('error', (error) => process.stdout.write(`${JSON.stringify({ at, status: error.message })}\n`))
  asking.end()
}

const calling = setInterval(call, INTERVAL_MS)
setTimeout(() => clearInterval(calling), Number(limit))
setTimeout(() => process.exit(), Number(limit) + SETTLE_MS)
