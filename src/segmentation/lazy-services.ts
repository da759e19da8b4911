import type { CompiledService } from './compiled.js'
import type { Directory } from './directory.js'
import type { Services } from './matrix.js'

/** Services that are compiled when they are first asked for; what compiling one throws, asking for it throws. */
export class LazyServices implements Services {
  readonly #directory: Pick<Directory, 'indexOf' | 'ids'>
  readonly #compile: (index: number) => CompiledService
  readonly #compiled: (CompiledService | undefined)[]

  constructor(
    directory: Pick<Directory, 'indexOf' | 'ids' | 'size'>,
    compile: (index: number) => CompiledService,
  ) {
    this.#directory = directory
    this.#compile = compile
    this.#compiled = Array.from({ length: directory.size }, () => undefined)
  }

  get size(): number {
    return this.#compiled.length
  }

  at(index: number | undefined): CompiledService | undefined {
    if (index === undefined || index >= this.#compiled.length) return undefined
    return (this.#compiled[index] ??= this.#compile(index))
  }

  get(id: string): CompiledService | undefined {
    return this.at(this.#directory.indexOf(id))
  }

  has(id: string): boolean {
    return this.#directory.indexOf(id) !== undefined
  }

  keys(): Iterable<string> {
    return this.#directory.ids()
  }

  *values(): Iterable<CompiledService> {
    for (let index = 0; index < this.#compiled.length; index++) {
      const service = this.at(index)
      if (service) yield service
    }
  }
}
