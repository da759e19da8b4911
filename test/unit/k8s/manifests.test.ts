import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { REPOSITORY } from '../../../demo/lay.js'
import { exampleMeshFiles } from '../../../demo/manifests.js'
import { loadConfig } from '../../../src/config/load.js'

const OVERLAY = join(REPOSITORY, 'k8s/overlays/example-mesh')
const read = (path: string): string => readFileSync(join(REPOSITORY, path), 'utf8')

test.each([...exampleMeshFiles()])('%s is up to date (else: make manifests)', (file, text) => {
  expect(readFileSync(join(OVERLAY, file), 'utf8')).toBe(text)
})

test('no file of an Envoy is left over', () => {
  const there = readdirSync(join(OVERLAY, 'envoy'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => `envoy/${file}`)
  const made = [...exampleMeshFiles().keys()].filter((file) => file.startsWith('envoy/'))
  expect(there.toSorted()).toEqual(made.toSorted())
})

test('every policy file of the example is in its ConfigMap', () => {
  const kustomization: { configMapGenerator: { name: string; files: string[] }[] } = parse(
    read('examples/mesh/kustomization.yaml'),
  )
  const listed = kustomization.configMapGenerator.find(({ name }) => name === 'example-policy')?.files ?? []
  const there = readdirSync(join(REPOSITORY, 'examples/mesh/policy')).map((file) => `policy/${file}`)
  expect(listed.toSorted()).toEqual(there.toSorted())
})

test.each(['base', 'overlays/envoy-gateway'])('the configuration of k8s/%s is valid', (folder) => {
  const file = `k8s/${folder}/config/portcullis.yaml`
  const loaded = loadConfig({ file, text: read(file), env: {}, flags: {} })
  expect('problems' in loaded ? loaded.problems : []).toEqual([])
})

test('Kubernetes waits longer than a drain takes', () => {
  const config: { drain: { delay: string; timeout: string } } = parse(read('k8s/base/config/portcullis.yaml'))
  const { spec }: { spec: { template: { spec: { terminationGracePeriodSeconds: number } } } } = parse(
    read('k8s/base/deployment.yaml'),
  )
  const drain = Number.parseInt(config.drain.delay) + Number.parseInt(config.drain.timeout)
  expect(spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(drain + 10)
})
