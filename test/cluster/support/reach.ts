import { kubectl } from './kubectl.js'

/** How long a connection may take before it counts as kept out, milliseconds. */
const LIMIT_MS = 1500

/**
 * Whether a pod that has Node.js can open a connection. Some network plugins drop what a policy keeps out, others
 * refuse it as if nobody listened: so the caller makes sure that somebody does.
 */
export async function reach(
  from: { readonly namespace: string; readonly pod: string; readonly container: string },
  host: string,
  port: number,
): Promise<'open' | 'closed'> {
  const program = `
    const socket = require('node:net').connect(${port}, '${host}')
    const end = (word) => { console.log(word); process.exit() }
    socket.on('connect', () => end('open'))
    socket.on('error', () => end('closed'))
    setTimeout(() => end('closed'), ${LIMIT_MS})`
  const command = ['/usr/local/bin/node', '-e', program]
  const { stdout } = await kubectl([
    'exec',
    '-n',
    from.namespace,
    from.pod,
    '-c',
    from.container,
    '--',
    ...command,
  ])
  const word = stdout.trim()
  if (word !== 'open' && word !== 'closed') throw new Error(`the pod said ${word}`)
  return word
}
