/**
 * Loaded before the product: `node --import bench/soak/usage-probe.js dist/cli/portcullis.js serve …`. Answers each
 * message of the parent with what the process holds and has used: bytes, microseconds, counts. For `live` it collects
 * garbage first, since what is not collected yet tells nothing about leaks. Ends with the parent.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

process.on('message', (asked) => {
  if (asked === 'live') collect()
  const { heapUsed, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  process.send?.({
    heapUsed,
    external,
    live: asked === 'live' ? heapUsed + external : undefined,
    cpuUs: user + system,
    handles: process.getActiveResourcesInfo().length,
  })
})
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()
