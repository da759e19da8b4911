import { constants as cryptoConstants } from 'node:crypto'
import { createSecureServer, type Http2SecureServer, type Http2Server, type ServerOptions } from 'node:http2'
import { createSecureContext, type SecureContextOptions, Server as TlsServer } from 'node:tls'

/** PEM texts. */
export type ListenerCertificate = {
  /** Leaf first, then intermediates. */
  readonly certificate: string
  readonly key: string
  /** Roots that client certificates must lead to; undefined: none is asked for. */
  readonly clientCa: string | undefined
}

/** The roots in force, by server. */
const rootsOf = new WeakMap<object, string | undefined>()

/** Throws what is wrong with the certificate. A handshake takes at most `handshakeMs`. */
export function createTlsServer(
  http2: ServerOptions,
  tls: ListenerCertificate,
  handshakeMs: number,
): Http2SecureServer {
  try {
    const server = createSecureServer({
      ...http2,
      ...contextOptions(tls),
      requestCert: tls.clientCa !== undefined,
      rejectUnauthorized: tls.clientCa !== undefined,
      allowHTTP1: false,
      handshakeTimeout: handshakeMs,
      unknownProtocolTimeout: handshakeMs,
    })
    rootsOf.set(server, tls.clientCa)
    return server
  } catch (error) {
    throw new Error(
      `the listener's certificate cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}

/** For handshakes that begin from now on. Throws what is wrong with the certificate; then nothing changes. */
export function replaceCertificate(
  server: Http2Server | Http2SecureServer,
  tls: ListenerCertificate,
): { readonly rootsChanged: boolean } {
  if (!(server instanceof TlsServer)) throw new Error('this listener is plaintext')
  const context = contextOptions(tls)
  // Throws for a key that is not the certificate's, which setSecureContext would find out half-way.
  createSecureContext(context)
  server.setSecureContext(context)
  const rootsChanged = rootsOf.get(server) !== tls.clientCa
  rootsOf.set(server, tls.clientCa)
  return { rootsChanged }
}

function contextOptions({ certificate, key, clientCa }: ListenerCertificate): SecureContextOptions {
  return {
    cert: certificate,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: 'TLSv1.3',
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET,
  }
}
