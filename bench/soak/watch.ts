import type { Server } from './server.js'

/** What the health port tells. */
export class Watch {
  readonly #server: Server

  constructor(server: Server) {
    this.#server = server
  }

  async ready(): Promise<{ readonly revision: string; readonly policyProblems: readonly unknown[] }> {
    return JSON.parse(await this.#get('/readyz')) as never
  }

  /** Sum of a metric's samples whose labels have this text; NaN where there is none. */
  async metric(name: string, labels = ''): Promise<number> {
    const lines = (await this.#get('/metrics')).split('\n')
    const values = lines
      .filter((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels))
      .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
    return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0)
  }

  async #get(path: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.#server.ports.health}${path}`, {
      signal: AbortSignal.timeout(5000),
    })
    return response.text()
  }
}
