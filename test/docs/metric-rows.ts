import { startPortcullis } from '../support/portcullis.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api, namespace: shop }
spec: { endpoints: [{ name: get, paths: [/], methods: [GET] }] }
`

/** A row for every metric that /metrics of a running Portcullis describes. */
export async function metricRows(): Promise<string> {
  const portcullis = await startPortcullis(
    { 'policy/api.yaml': POLICY },
    {
      listeners: [
        {
          name: 'mesh',
          address: '127.0.0.1:0',
          peerIdentity: 'Principal',
          principalTrustDomains: ['cluster.local'],
        },
      ],
      health: { listen: '127.0.0.1:0' },
      // What only some configurations measure.
      telemetry: {
        metrics: { endpoint: 'http://127.0.0.1:9/v1/metrics' },
        traces: { endpoint: 'http://127.0.0.1:9/v1/traces' },
      },
      accessLogService: { enabled: true },
    },
  )
  try {
    const response = await fetch(`http://${portcullis.running.health}/metrics`)
    const described = (await response.text()).matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)
    const rows = Array.from(described, ([, name, help, type]) => `| \`${name}\` | ${type} | ${help} |`)
    return ['| Metric | Type | Meaning |', '|---|---|---|', ...rows].join('\n')
  } finally {
    await portcullis.stop()
  }
}
