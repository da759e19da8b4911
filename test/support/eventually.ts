const STEP_MS = 10

/** Until what it expects holds; then, or after `withinMs`, what it throws counts. */
export async function eventually(expectation: () => void | Promise<void>, withinMs = 5000): Promise<void> {
  const endMs = performance.now() + withinMs
  for (;;) {
    try {
      await expectation()
      return
    } catch (error) {
      if (performance.now() > endMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
}
