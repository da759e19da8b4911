import { type Answer, type GetServer, send, startGetServer } from './get-server.js'

export type HealthOptions = {
  readonly listen: { readonly host: string; readonly port: number }
  /** Asked on every probe; `detail` is for an operator to read. */
  readonly readiness: () => { readonly ready: boolean; readonly detail: Readonly<Record<string, unknown>> }
  /** Prometheus text. */
  readonly metrics: () => string | Promise<string>
}

const TEXT = 'text/plain; charset=utf-8'
const METRICS = 'text/plain; version=0.0.4; charset=utf-8'

/** Serves /livez, which says that the process answers, /readyz, whether it decides, and /metrics. */
export function startHealthServer({ listen, readiness, metrics }: HealthOptions): Promise<GetServer> {
  const answer = (type: string): Readonly<Record<string, string>> => ({
    'content-type': type,
    'cache-control': 'no-store',
  })
  const answers: [string, Answer][] = [
    ['/livez', (response) => send(response, 200, answer(TEXT), 'ok\n')],
    [
      '/readyz',
      (response) => {
        const { ready, detail } = readiness()
        const body = `${JSON.stringify({ ready, ...detail })}\n`
        send(response, ready ? 200 : 503, answer('application/json'), body)
      },
    ],
    ['/metrics', async (response) => send(response, 200, answer(METRICS), await metrics())],
  ]
  return startGetServer(listen, new Map(answers))
}
