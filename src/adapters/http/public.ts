import { type GetServer, send, startGetServer, type Take } from './get-server.js'

export type PublicOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  /** A JSON Web Key Set, and for how many seconds it may be kept. */
  readonly jwks: () => KeySetText | Promise<KeySetText>
  /** Takes pushed security events; undefined: nobody pushes any. */
  readonly events?: Take | undefined
}

type KeySetText = { readonly body: string; readonly maxAgeSeconds: number }

/** Serves /.well-known/jwks.json to anybody who may connect, and takes what is posted to /ssf/events. */
export function startPublicServer({ listen, jwks, events }: PublicOptions): Promise<GetServer> {
  return startGetServer(
    listen,
    new Map([
      [
        '/.well-known/jwks.json',
        async (response) => {
          const { body, maxAgeSeconds } = await jwks()
          const headers = {
            'content-type': 'application/json',
            'cache-control': `public, max-age=${maxAgeSeconds}`,
            'x-content-type-options': 'nosniff',
          }
          send(response, 200, headers, body)
        },
      ],
    ]),
    new Map(events ? [['/ssf/events', events]] : []),
  )
}
