import { randomBytes } from 'node:crypto'
import { request } from 'node:http'

/** The answer of the admin API. */
export type AdminAnswer = {
  readonly status: number
  /** Parsed where it is JSON; undefined where it is empty. */
  readonly body: ReturnType<typeof JSON.parse>
  readonly text: string
}

/** Somebody who calls the admin API over plain HTTP with a token. */
export type AdminClient = (method: string, path: string, body?: unknown) => Promise<AdminAnswer>

/** A token as an operator would make one. */
export const anAdminToken = (): string => randomBytes(24).toString('base64url')

export function adminClient(address: string, token: string): AdminClient {
  const [host = '', port = ''] = address.split(':')
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const call = request(
        {
          host,
          port: Number(port),
          method,
          path,
          agent: false,
          timeout: 10_000,
          headers: {
            authorization: `Bearer ${token}`,
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const answer = Buffer.concat(chunks).toString()
            const isJson = /json/.test(response.headers['content-type'] ?? '')
            resolve({
              status: response.statusCode ?? 0,
              body: isJson && answer !== '' ? JSON.parse(answer) : undefined,
              text: answer,
            })
          })
        },
      )
      call.on('timeout', () => call.destroy(new Error('no answer in time')))
      call.on('error', reject)
      call.end(text)
    })
}
