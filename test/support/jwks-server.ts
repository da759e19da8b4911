import { createServer, type Server, type ServerResponse } from 'node:http'

/** How the server answers from now on. */
export type JwksBehaviour =
  | { readonly kind: 'serve'; readonly keys: readonly object[] }
  | { readonly kind: 'text'; readonly text: string; readonly contentType?: string }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'redirect'; readonly location: string }
  /** Takes the request and never answers. */
  | { readonly kind: 'hang' }
  /** Answers the head, then one byte every 50 ms without end. */
  | { readonly kind: 'drip' }
  | { readonly kind: 'oversized'; readonly bytes: number }
  | { readonly kind: 'slow'; readonly delayMs: number; readonly keys: readonly object[] }

/** A JWKS endpoint on 127.0.0.1 whose behaviour can be switched while it runs. */
export class JwksServer {
  readonly #server: Server
  behaviour: JwksBehaviour
  /** Requests that arrived. */
  requests = 0
  /** JSON served at these paths, whatever the behaviour; undefined: 404. */
  readonly documents = new Map<string, string | undefined>()

  private constructor(behaviour: JwksBehaviour) {
    this.behaviour = behaviour
    this.#server = createServer(({ url = '' }, response) => {
      this.requests += 1
      const document = this.documents.get(url)
      if (document !== undefined) json(response, document)
      else if (this.documents.has(url)) response.writeHead(404).end()
      else answer(this.behaviour, response)
    })
  }

  static async start(behaviour: JwksBehaviour): Promise<JwksServer> {
    const server = new JwksServer(behaviour)
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `${this.origin}/jwks.json`
  }

  get origin(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the server does not listen')
    return `http://127.0.0.1:${address.port}`
  }

  /** Ends every connection, hanging ones too. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}

function answer(behaviour: JwksBehaviour, response: ServerResponse): void {
  switch (behaviour.kind) {
    case 'serve':
      return json(response, JSON.stringify({ keys: behaviour.keys }))
    case 'text':
      return json(response, behaviour.text, behaviour.contentType)
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
    case 'oversized':
      return json(response, `{"keys":[],"padding":"${'x'.repeat(behaviour.bytes)}"}`)
    case 'slow':
      setTimeout(() => json(response, JSON.stringify({ keys: behaviour.keys })), behaviour.delayMs)
  }
}

function json(response: ServerResponse, text: string, contentType = 'application/json'): void {
  response.writeHead(200, { 'content-type': contentType }).end(text)
}
