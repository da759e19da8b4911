/** Images of the suite, by the name that the manifests use. */
const IMAGES = {
  portcullis: process.env['CLUSTER_PORTCULLIS_IMAGE'] ?? 'portcullis:0.1.0',
  'docker.io/envoyproxy/envoy': process.env['CLUSTER_ENVOY_IMAGE'] ?? 'docker.io/envoyproxy/envoy:v1.40.0',
  'docker.io/library/node': process.env['CLUSTER_NODE_IMAGE'] ?? 'docker.io/library/node:22-bookworm-slim',
  'docker.io/library/redis': process.env['CLUSTER_REDIS_IMAGE'] ?? 'docker.io/library/redis:7-bookworm',
} as const

export const NODE_IMAGE = IMAGES['docker.io/library/node']

/** What objects are called that the code makes: demo/manifests.ts. */
const PLAIN_NAMES = {
  envoy: IMAGES['docker.io/envoyproxy/envoy'],
  application: IMAGES['docker.io/library/node'],
}

/** The `images` of a kustomization. */
export function imageEntries(): readonly { name: string; newName: string; newTag: string }[] {
  return Object.entries({ ...IMAGES, ...PLAIN_NAMES }).map(([name, image]) => {
    const colon = image.lastIndexOf(':')
    if (colon <= image.lastIndexOf('/')) throw new Error(`the image ${image} has no tag`)
    return { name, newName: image.slice(0, colon), newTag: image.slice(colon + 1) }
  })
}
