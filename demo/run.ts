import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { envoyBinary } from './envoy-binary.js'
import { REPOSITORY } from './lay.js'
import { type Mesh, startMesh } from './mesh.js'
import { play } from './scenario.js'
import { CHAPTERS } from './scenarios.js'
import { PORTS, SERVICES, WEB_HOST } from './services.js'
import { chapterLine, heading, outcomeLine, painter } from './table.js'
import { bearer } from './tokens.js'

const paint = painter(process.stdout, process.env)

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Makes every call in order. Returns how many went other than expected. */
async function playAll(mesh: Mesh): Promise<number> {
  let calls = 0
  let differing = 0
  say(heading(paint))
  for (const { title, scenarios } of CHAPTERS) {
    say(chapterLine(title, paint))
    for (const scenario of scenarios) {
      const outcome = await play(scenario, mesh)
      calls += 1
      if (outcome.difference !== undefined) differing += 1
      say(outcomeLine(outcome, paint))
    }
  }
  say(`\n${calls} calls, ${differing} other than expected`)
  return differing
}

/** Whether the log that was written meanwhile is as it was written; says what the command says, without its details. */
function verifyLog({ directory }: Mesh): boolean {
  const command = ['audit', 'verify', '--key', 'keys/audit.pem', 'audit']
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(REPOSITORY, 'dist/cli/portcullis.js'), ...command],
    { encoding: 'utf8', cwd: join(directory, 'portcullis-1') },
  )
  const told = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !line.startsWith(' '))
  say(`\nportcullis ${command.join(' ')}\n${told.join('\n')}`)
  return status === 0
}

/** Commands to try by hand while the mesh is up. */
async function invitation(mesh: Mesh): Promise<string> {
  const rootFile = join(mesh.directory, 'web-root.pem')
  writeFileSync(rootFile, mesh.pki.web.rootPem)
  const sidecar = (service: string): string => `http://${mesh.addressOf(service)}:${PORTS.outbound}`
  const gateway = `--cacert ${rootFile} --resolve ${WEB_HOST}:${PORTS.inbound}:${mesh.addressOf('gateway')} https://${WEB_HOST}:${PORTS.inbound}`
  const svid = join(mesh.directory, 'payment-service/tls/svid')
  return `
The mesh is up. As the application of checkout-service, then of email-service, through their own sidecars:
  curl -si -H 'host: inventory-service' ${sidecar('checkout-service')}/api/stock/lamp
  curl -si -H 'host: payment-service' ${sidecar('email-service')}/api/payments/9

As alice, through the gateway, with a token for ten minutes:
  ALICE='${await bearer(mesh, 'alice')}'
  curl -si -H "authorization: $ALICE" ${gateway}/api/orders
  curl -si -H "authorization: $ALICE" ${gateway}/api/users/7

As payment-service, past its sidecar, to order-service:
  curl -si -k --cert ${svid}.pem --key ${svid}.key \\
    https://${mesh.addressOf('order-service')}:${PORTS.inbound}/internal/orders/42

The policy is examples/mesh/policy: change a line, save, and call again.
Decisions and logs: ${join(mesh.directory, 'logs')}
Ctrl-C ends everything.`
}

/** Resolves at the first of Ctrl-C, a termination request and a closed terminal. */
function interruption(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(signal))
  })
}

async function main(): Promise<number> {
  const interrupted = interruption()
  const stay = process.argv.includes('--stay')
  const startedMs = performance.now()
  const starting = startMesh({ envoy: envoyBinary() })
  const mesh = await Promise.race([starting, interrupted])
  if (typeof mesh === 'string') {
    await starting.then((late) => late.stop()).catch(() => undefined)
    return 130
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  say(
    `One Portcullis and ${SERVICES.length + 2} Envoys, up in ${seconds} s. Logs: ${join(mesh.directory, 'logs')}\n`,
  )
  try {
    const differing = await Promise.race([playAll(mesh), interrupted])
    if (typeof differing === 'string') return 130
    const isIntact = verifyLog(mesh)
    if (stay) {
      say(await invitation(mesh))
      await interrupted
    }
    return differing === 0 && isIntact ? 0 : 1
  } finally {
    await mesh.stop()
  }
}

process.exitCode = await main()
