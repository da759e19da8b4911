import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { CRD_FOLDER, crdFiles } from './custom-resource-files.js'
import { GENERATED_PAGES, readPage, renewed, REPOSITORY } from './pages.js'

for (const page of GENERATED_PAGES) {
  const text = await renewed(page)
  if (text === readPage(page)) continue
  writeFileSync(`${REPOSITORY}${page}`, text)
  process.stdout.write(`${page} is written anew\n`)
}

mkdirSync(`${REPOSITORY}${CRD_FOLDER}`, { recursive: true })
for (const [name, text] of crdFiles()) {
  const file = `${REPOSITORY}${CRD_FOLDER}${name}`
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  writeFileSync(file, text)
  process.stdout.write(`${CRD_FOLDER}${name} is written anew\n`)
}
