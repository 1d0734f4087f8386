import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { runInContext } from 'node:vm'
import { Window } from 'happy-dom'

// A page of an origin in which the browser build of a library has been loaded,
// and whose fetch obeys CORS.
export async function page(origin, library) {
  const settings = { enableJavaScriptEvaluation: true, suppressInsecureJavaScriptEnvironmentWarning: true }
  const window = new Window({ url: `${origin}/`, settings })
  const path = fileURLToPath(new URL(`node_modules/${library}`, import.meta.url))
  runInContext(await readFile(path, 'utf8'), window)
  return window
}
