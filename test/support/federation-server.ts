import type { ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Authority, Issued } from './certificate-authority.js'
import { basicConstraints, extendedKeyUsage, keyUsage, OID, subjectAltName } from './certificate-writer.js'

/** How the endpoint answers from now on. */
export type FederationBehaviour =
  | { readonly kind: 'serve'; readonly text: string; readonly contentType?: string }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  /** Answers the head, then one byte every 50 ms without end. */
  | { readonly kind: 'drip' }
  /** Cuts the connection. */
  | { readonly kind: 'break' }

/** A SPIFFE bundle document with these roots. */
export function bundleDocument(
  roots: readonly Issued[],
  more: { readonly sequence?: number; readonly refreshHint?: number; readonly keys?: readonly object[] } = {},
): string {
  return JSON.stringify({
    keys: [
      ...roots.map(({ certificateDer, keys }) => ({
        ...keys.publicKey.export({ format: 'jwk' }),
        use: 'x509-svid',
        x5c: [certificateDer.toString('base64')],
      })),
      ...(more.keys ?? []),
    ],
    ...(more.sequence === undefined ? {} : { spiffe_sequence: more.sequence }),
    ...(more.refreshHint === undefined ? {} : { spiffe_refresh_hint: more.refreshHint }),
  })
}

/** A certificate for 127.0.0.1, as a web server has it. */
export function webCertificate(authority: Authority): Issued {
  return authority.issue({
    subject: [['CN', 'web']],
    extensions: () => [
      basicConstraints(false),
      keyUsage(['digitalSignature']),
      extendedKeyUsage([OID.serverAuth]),
      subjectAltName([{ ip: [127, 0, 0, 1] }]),
    ],
  })
}

/** A federation endpoint on 127.0.0.1 whose behaviour and certificate can be switched while it runs. */
export class FederationServer {
  readonly #server: Server
  behaviour: FederationBehaviour
  /** Requests that arrived. */
  requests = 0

  private constructor(certificate: Issued, behaviour: FederationBehaviour) {
    this.behaviour = behaviour
    this.#server = createServer(tlsOf(certificate), (_request, response) => {
      this.requests += 1
      answer(this.behaviour, response)
    })
    this.#server.on('tlsClientError', () => undefined)
  }

  static async start(certificate: Issued, behaviour: FederationBehaviour): Promise<FederationServer> {
    const server = new FederationServer(certificate, behaviour)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the server does not listen')
    return `https://127.0.0.1:${address.port}/bundle`
  }

  present(certificate: Issued): void {
    this.#server.setSecureContext(tlsOf(certificate))
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

function tlsOf({ chainPem, keyPem }: Issued): { readonly cert: string; readonly key: string } {
  return { cert: chainPem, key: keyPem }
}

function answer(behaviour: FederationBehaviour, response: ServerResponse): void {
  switch (behaviour.kind) {
    case 'serve':
      response.writeHead(200, { 'content-type': behaviour.contentType ?? 'application/json' })
      response.end(behaviour.text)
      return
    case 'status':
      response.writeHead(behaviour.status).end()
      return
    case 'redirect':
      response.writeHead(302, { location: behaviour.location }).end()
      return
    case 'hang':
      return
    case 'drip': {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(timer))
      return
    }
    case 'break':
      response.destroy()
  }
}
