import { type GetServer, send, startGetServer } from './get-server.js'

export type PublicOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  /** A JSON Web Key Set, and for how many seconds it may be kept. */
  readonly jwks: () => { readonly body: string; readonly maxAgeSeconds: number }
}

/** Serves /.well-known/jwks.json to anybody who may connect. */
export function startPublicServer({ listen, jwks }: PublicOptions): Promise<GetServer> {
  return startGetServer(
    listen,
    new Map([
      [
        '/.well-known/jwks.json',
        (response) => {
          const { body, maxAgeSeconds } = jwks()
          const headers = {
            'content-type': 'application/json',
            'cache-control': `public, max-age=${maxAgeSeconds}`,
            'x-content-type-options': 'nosniff',
          }
          send(response, 200, headers, body)
        },
      ],
    ]),
  )
}
