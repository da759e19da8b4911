import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { REPOSITORY } from './lay.js'
import { exampleMeshFiles } from './manifests.js'

/** `make manifests`. */
for (const [file, text] of exampleMeshFiles()) {
  const path = join(REPOSITORY, 'k8s/overlays/example-mesh', file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
