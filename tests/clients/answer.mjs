// Every script beside this one lets a library revoke. It reads tasks from its
// standard input, one JSON object a line, and answers each with one line:
//
//   {}                         the library says that it succeeded
//   {"error": …, "code": …}    what the library says went wrong, and the OAuth
//                              error code that it understood, if any
import { createInterface } from 'node:readline'

export async function answer(revoke) {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await outcome(revoke, JSON.parse(line))))
  }
}

async function outcome(revoke, task) {
  try {
    await revoke(task)
    return {}
  } catch (error) {
    return { error: `${error?.name}: ${error?.message}`, code: await codeOf(error) }
  }
}

// Each library has a place of its own for the code, or hands out the answer.
async function codeOf(error) {
  const places = [
    error?.error, // oauth4webapi, openid-client, oidc-client-ts
    error?.oauth2Code, // @badgateway/oauth2-client
    error?.errorCode, // @okta/okta-auth-js
    error?.data?.payload?.error, // simple-oauth2
    parsed(error?.body)?.error, // @moovio/sdk
  ]
  const code = places.find((place) => typeof place === 'string')
  return code ?? (await error?.response?.json?.().catch(() => undefined))?.error
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
